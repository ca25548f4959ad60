// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Workers that are replaced while they live, by a supervisor without a server.

#define BOOST_TEST_MODULE worker_replacement

#include "support/logged.hpp"
#include "support/supervised.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <unistd.h>

using namespace matrix;
using clk = std::chrono::steady_clock;

namespace {

// Workers that serve once they are let.
struct replaceable : supervised
{
    void start(std::size_t n)
    {
        supervisor.start(n, [this] {
            if (!may_serve->wait())
                ::_exit(1);
            supervisor.worker_serves();
            obey();
        });
    }

    void let_serve(int n)
    {
        for (int i = 0; i < n; ++i)
            may_serve->open();
    }

    bool is_left(int pid) const
    {
        auto const pids = supervisor.pids();
        return std::find(pids.begin(), pids.end(), pid) != pids.end();
    }

    shared<gate> may_serve;
};

} // namespace

BOOST_FIXTURE_TEST_CASE(a_successor_serves_before_its_predecessor_goes, replaceable)
{
    start(2);
    auto const old = supervisor.pids();
    let_serve(2);
    supervisor.replace_workers();
    for (std::size_t replaced = 0; replaced < 2; ++replaced)
    {
        // There is one more, and the old ones serve on until it serves.
        BOOST_TEST(run_until([&] { return supervisor.size() == 3; }));
        supervisor.run();
        BOOST_TEST(supervisor.size() == 3);
        BOOST_TEST(is_left(old[1]));
        BOOST_TEST(is_left(old[0]) == (replaced == 0));
        let_serve(1);
        BOOST_TEST(run_until([&] { return !is_left(old[replaced]); }));
    }
    BOOST_TEST(supervisor.size() == 2);
    BOOST_TEST(!is_left(old[0]));
    BOOST_TEST(!is_left(old[1]));
}

BOOST_FIXTURE_TEST_CASE(requests_meanwhile_are_for_one_round_more, replaceable)
{
    support::logged log;
    start(2);
    let_serve(2);
    supervisor.replace_workers();
    supervisor.replace_workers();
    BOOST_TEST(run_until([&] { return supervisor.size() == 3; }));
    for (int i = 0; i < 5; ++i)
        supervisor.replace_workers();
    let_serve(4);
    BOOST_TEST(run_until([&] { return log.count("replacing the workers") == 2; }));
    // Once, or once for each, as they come to an end.
    BOOST_TEST(run_until([&] { return log.lines().back() == "info: the workers are replaced"; }));
    BOOST_TEST(log.count("replacing the workers") == 2);
    BOOST_TEST(supervisor.size() == 2);
    supervisor.run();
    BOOST_TEST(supervisor.size() == 2);
}

BOOST_FIXTURE_TEST_CASE(they_are_replaced_when_the_last_old_one_has_gone, supervised)
{
    support::logged log;
    shared<std::atomic<int>> lives(0);
    shared<gate> may_end;
    supervisor.start(1, [&] {
        if (++*lives == 1)
        {
            std::signal(SIGTERM, SIG_IGN);
            supervisor.worker_serves();
            may_end->wait();
            ::_exit(0);
        }
        supervisor.worker_serves();
        obey();
    });
    supervisor.replace_workers();
    BOOST_TEST(run_until([&] { return *lives == 2; }));
    // The next round begins while the first worker drains, and does not wait for it.
    supervisor.replace_workers();
    BOOST_TEST(run_until([&] { return *lives == 3 && supervisor.size() == 2; }));
    BOOST_TEST(log.count("replacing the workers") == 2);
    BOOST_TEST(log.count("the workers are replaced") == 0);
    may_end->open();
    BOOST_TEST(run_until([&] { return log.count("the workers are replaced") == 1; }));
    BOOST_TEST(supervisor.size() == 1);
}

BOOST_FIXTURE_TEST_CASE(old_ones_serve_on_while_their_successors_die, supervised)
{
    shared<std::atomic<int>> lives(0);
    supervisor.start(2, [&] {
        if (++*lives > 2)
            ::_exit(1);
        supervisor.worker_serves();
        obey();
    });
    auto const old = supervisor.pids();
    BOOST_TEST(run_until([&] { return *lives == 2; }));
    supervisor.replace_workers();
    BOOST_TEST(run_until([&] { return *lives >= 8; }));
    for (int const pid : old)
        BOOST_TEST(is_alive(pid));
}

BOOST_FIXTURE_TEST_CASE(a_worker_that_has_taken_its_number_is_replaced, supervised)
{
    support::logged log;
    shared<std::atomic<int>> lives(0);
    supervisor.start(1, [&] {
        int const life = ++*lives;
        supervisor.worker_serves();
        if (life <= 3)
        {
            supervisor.worker_lasts(2, 0);
            supervisor.worker_took_request();
            supervisor.worker_took_request();
        }
        obey();
    });
    BOOST_TEST(run_until([&] { return *lives == 4 && supervisor.size() == 1; }));
    BOOST_CHECK(supervisor.next_timer() == clk::time_point::max());
    BOOST_TEST(log.count("has taken its requests; it is replaced") == 3);
    BOOST_TEST(log.count("debug: worker ") == 3);
    BOOST_TEST(log.count("the workers are replaced") == 0);
}

BOOST_FIXTURE_TEST_CASE(a_worker_that_leaves_by_itself_has_a_successor_at_once, supervised)
{
    shared<std::atomic<int>> lives(0);
    shared<gate> may_end;
    supervisor.start(1, [&] {
        int const life = ++*lives;
        supervisor.worker_serves();
        if (life == 1)
        {
            supervisor.worker_leaves();
            may_end->wait();
            ::_exit(0);
        }
        obey();
    });
    BOOST_TEST(run_until([&] { return *lives == 2 && supervisor.size() == 2; }));
    may_end->open();
    BOOST_TEST(run_until([&] { return supervisor.size() == 1; }));
}

BOOST_FIXTURE_TEST_CASE(a_worker_may_ask_that_all_be_replaced, supervised)
{
    support::logged log;
    shared<std::atomic<int>> lives(0);
    supervisor.start(3, [&] {
        int const life = ++*lives;
        supervisor.worker_serves();
        if (life == 3)
            supervisor.replace_workers();
        obey();
    });
    BOOST_TEST(run_until([&] { return log.count("the workers are replaced") == 1; }));
    BOOST_TEST(*lives == 6);
}

BOOST_FIXTURE_TEST_CASE(nobody_is_replaced_once_it_drains, supervised)
{
    shared<std::atomic<int>> lives(0);
    supervisor.start(2, [&] {
        ++*lives;
        supervisor.worker_serves();
        obey();
    });
    supervisor.drain();
    supervisor.replace_workers();
    BOOST_TEST(run_until([&] { return supervisor.size() == 0; }));
    BOOST_TEST(*lives <= 2);
}

BOOST_FIXTURE_TEST_CASE(workers_do_not_all_last_as_long, supervised)
{
    constexpr int n = 20;
    shared<std::atomic<int>> lives(0);
    shared<std::atomic<int>> ready(0);
    shared<gate> may_begin;
    supervisor.start(n, [&] {
        if (++*lives <= n)
        {
            // Who is done sooner is replaced before all have started.
            may_begin->wait();
            supervisor.worker_lasts(100, 1000);
            for (int i = 0; i < 600; ++i)
                supervisor.worker_took_request();
            ++*ready;
        }
        supervisor.worker_serves();
        obey();
    });
    auto const old = supervisor.pids();
    for (int i = 0; i < n; ++i)
        may_begin->open();
    BOOST_TEST(run_until([&] {
        return *ready == n && supervisor.size() == n &&
               supervisor.next_timer() == clk::time_point::max();
    }));
    auto const left = std::count_if(old.begin(), old.end(), is_alive);
    // All or none: one case of half a million.
    BOOST_TEST(left > 0);
    BOOST_TEST(left < n);
}
