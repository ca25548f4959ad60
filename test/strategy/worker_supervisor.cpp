// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/worker_supervisor.hpp>

#define BOOST_TEST_MODULE worker_supervisor

#include "support/logged.hpp"
#include "support/supervised.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <unistd.h>

using namespace matrix;
using clk = std::chrono::steady_clock;

BOOST_FIXTURE_TEST_CASE(it_starts_as_many_as_were_asked_for, supervised)
{
    BOOST_TEST(supervisor.size() == 0);
    supervisor.start(3, obey);
    BOOST_TEST(supervisor.size() == 3);
    BOOST_TEST(supervisor.pids().size() == 3);
    for (int const pid : supervisor.pids())
        BOOST_TEST(is_alive(pid));
    BOOST_CHECK(supervisor.next_timer() == clk::time_point::max());
}

BOOST_FIXTURE_TEST_CASE(one_that_dies_is_replaced, supervised)
{
    supervisor.start(2, obey);
    auto const victim = supervisor.pids().front();
    ::kill(victim, SIGKILL);
    BOOST_TEST(run_until([&] {
        auto const pids = supervisor.pids();
        return pids.size() == 2 && std::find(pids.begin(), pids.end(), victim) == pids.end();
    }));
}

BOOST_FIXTURE_TEST_CASE(a_single_death_costs_no_time, supervised)
{
    supervisor.start(2, obey);
    // One in four, so that a busy machine does not count.
    auto least = clk::duration::max();
    for (int i = 0; i < 4; ++i)
    {
        auto const victim = supervisor.pids().front();
        auto const start = clk::now();
        ::kill(victim, SIGKILL);
        BOOST_TEST(run_until([&] {
            auto const pids = supervisor.pids();
            return pids.size() == 2 && std::find(pids.begin(), pids.end(), victim) == pids.end();
        }));
        least = std::min(least, clk::now() - start);
    }
    BOOST_CHECK(least < 100ms);
}

BOOST_FIXTURE_TEST_CASE(the_next_ones_wait_longer_and_longer_while_they_die_young, supervised)
{
    support::logged log;
    shared<std::atomic<int>> lives(0);
    auto const start = clk::now();
    supervisor.start(1, [&] {
        ++*lives;
        ::_exit(1);
    });
    BOOST_TEST(run_until([&] { return *lives >= 8; }));
    // Five at once, then 100, 200 and 400 ms.
    BOOST_CHECK(clk::now() - start >= 690ms);
    BOOST_TEST(log.count("workers die soon after their start") == 1);
    BOOST_TEST(log.count(" has ended with status 1; it is replaced") >= 7);
}

BOOST_FIXTURE_TEST_CASE(there_are_ten_starts_a_second_at_most, supervised)
{
    shared<std::atomic<int>> lives(0);
    supervisor.start(8, [&] {
        ++*lives;
        ::_exit(1);
    });
    auto const start = clk::now();
    BOOST_TEST(run_until([&] { return *lives >= 15; }));
    // The first eight, one for each of four that died, and then 100, 200 and 400 ms.
    BOOST_CHECK(clk::now() - start >= 690ms);
}

BOOST_FIXTURE_TEST_CASE(it_says_when_they_live_on, supervised)
{
    support::logged log;
    shared<std::atomic<int>> lives(0);
    supervisor.young_age = 1s;
    supervisor.start(1, [&] {
        if (++*lives <= 5)
            ::_exit(1);
        obey();
    });
    BOOST_TEST(run_until([&] { return log.count("workers live on again") == 1; }));
    BOOST_TEST(*lives == 6);
    BOOST_CHECK(supervisor.next_timer() == clk::time_point::max());
}

BOOST_FIXTURE_TEST_CASE(one_that_lived_long_is_replaced_at_once_again, supervised)
{
    support::logged log;
    shared<std::atomic<int>> lives(0);
    supervisor.young_age = 1ms;
    supervisor.start(1, [&] {
        ++*lives;
        std::this_thread::sleep_for(2ms);
        ::_exit(1);
    });
    auto const start = clk::now();
    BOOST_TEST(run_until([&] { return *lives >= 20; }));
    // With the pauses of those that die young, ten seconds more.
    BOOST_CHECK(clk::now() - start < 8s);
    BOOST_TEST(log.count("workers die soon") == 0);
}

BOOST_FIXTURE_TEST_CASE(those_that_drain_are_not_replaced, supervised)
{
    supervisor.start(3, obey);
    supervisor.drain();
    BOOST_TEST(run_until([&] { return supervisor.size() == 0; }));
    BOOST_CHECK(supervisor.next_timer() == clk::time_point::max());
}

BOOST_FIXTURE_TEST_CASE(an_abort_reaches_those_that_drain, supervised)
{
    shared<gate> draining;
    supervisor.start(2, [&] {
        std::signal(SIGTERM, SIG_IGN);
        draining->open();
        std::signal(SIGQUIT, [](int) { ::_exit(3); });
        sigset_t none;
        ::sigemptyset(&none);
        ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
        for (;;)
            ::pause();
    });
    BOOST_TEST(draining->wait());
    BOOST_TEST(draining->wait());
    supervisor.drain();
    supervisor.run();
    BOOST_TEST(supervisor.size() == 2);
    supervisor.abort();
    BOOST_TEST(run_until([&] { return supervisor.size() == 0; }));
}

BOOST_FIXTURE_TEST_CASE(kill_leaves_none, supervised)
{
    supervisor.start(2, [] {
        for (;;)
            ::pause();
    });
    auto const pids = supervisor.pids();
    supervisor.drain();
    supervisor.kill();
    BOOST_TEST(supervisor.size() == 0);
    for (int const pid : pids)
        BOOST_TEST(!is_alive(pid));
}

BOOST_FIXTURE_TEST_CASE(it_may_start_again, supervised)
{
    for (int i = 0; i < 2; ++i)
    {
        supervisor.start(2, obey);
        BOOST_TEST(supervisor.size() == 2);
        supervisor.drain();
        BOOST_TEST(run_until([&] { return supervisor.size() == 0; }));
    }
}

BOOST_FIXTURE_TEST_CASE(a_worker_supervises_nobody, supervised)
{
    shared<gate> looked;
    shared<std::atomic<int>> wrong(0);
    supervisor.start(2, [&] {
        supervisor.after_fork(socketserver::fork_role::worker);
        *wrong += supervisor.size() != 0;
        // It has no part in what the supervisor does with the others.
        supervisor.drain();
        supervisor.run();
        looked->open();
        obey();
    });
    BOOST_TEST(looked->wait());
    BOOST_TEST(looked->wait());
    BOOST_TEST(*wrong == 0);
    BOOST_TEST(supervisor.size() == 2);
    for (int const pid : supervisor.pids())
        BOOST_TEST(is_alive(pid));
}
