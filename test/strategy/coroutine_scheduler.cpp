// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/coroutine_scheduler.hpp>

#define BOOST_TEST_MODULE coroutine_scheduler

#include "support/matrix_cells.hpp"
#include "support/matrix_jobs.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace matrix;
using socketserver::coroutine_scheduler;
using clk = std::chrono::steady_clock;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// Coroutines, and a server for them to wait for.
struct with_jobs : job_server, nothing_left
{
    template <class Function>
    void start(Function f)
    {
        scheduler.start(make_job(std::move(f)));
    }

    // Runs them as their loop does.
    template <class Condition>
    bool run_until(Condition const& condition)
    {
        auto const end = clk::now() + patience;
        while (!condition() && clk::now() < end)
        {
            auto const now = clk::now();
            // The earliest time that can be said, if there is something to run.
            auto const until = std::clamp(scheduler.next_timer(), now, end);
            if (!scheduler.wait_with({}, until))
            {
                auto const ms = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
                pollfd fd{scheduler.descriptor(), POLLIN, 0};
                ::poll(&fd, 1, static_cast<int>(ms));
            }
            scheduler.run();
        }
        return condition();
    }

    void teardown()
    {
        echoes.end();
        left.reset();
        nothing_left::teardown();
    }

    std::optional<coroutine_scheduler> left{std::in_place};
    coroutine_scheduler& scheduler = *left;
    served echoes{cell_of("threading"), echo};
};

} // namespace

BOOST_FIXTURE_TEST_CASE(there_is_nothing_to_run_at_first, with_jobs)
{
    BOOST_TEST(scheduler.size() == 0);
    BOOST_TEST(!scheduler.inside());
    BOOST_CHECK(scheduler.next_timer() == clk::time_point::max());
    scheduler.run();
}

BOOST_FIXTURE_TEST_CASE(a_request_that_never_waits_ends_before_start_returns, with_jobs)
{
    bool inside = false;
    pid_t thread = 0;
    start([&] {
        inside = scheduler.inside();
        thread = ::gettid();
    });
    BOOST_TEST(inside);
    BOOST_TEST(thread == ::gettid());
    BOOST_TEST(!scheduler.inside());
    BOOST_TEST(scheduler.size() == 0);
}

BOOST_FIXTURE_TEST_CASE(one_that_waits_goes_on_where_it_was, with_jobs)
{
    std::string answer;
    start([&] {
        client_stream s(echoes.address());
        answer = ask(s, "hello");
    });
    BOOST_TEST(scheduler.size() == 1);
    BOOST_TEST(answer == "");
    BOOST_TEST(run_until([&] { return scheduler.size() == 0; }));
    BOOST_TEST(answer == "hello");
}

BOOST_FIXTURE_TEST_CASE(others_run_while_one_waits, with_jobs)
{
    std::vector<std::string> order;
    for (std::string const name : {"a", "b", "c"})
        start([&, name] {
            client_stream s(echoes.address());
            order.push_back("begin");
            order.push_back(ask(s, name));
        });
    BOOST_TEST(scheduler.size() == 3);
    BOOST_TEST(run_until([&] { return scheduler.size() == 0; }));
    BOOST_TEST(order.size() == 6);
}

BOOST_FIXTURE_TEST_CASE(others_run_while_one_reads_what_has_come_already, with_jobs)
{
    client_stream s(echoes.address());
    int const lines = 1000;
    for (int i = 0; i < lines; ++i)
        s.send_all("x\n");
    auto const has_all = [&] {
        int n = 0;
        return ::ioctl(s.native_handle(), FIONREAD, &n) == 0 && n == 2 * lines;
    };
    BOOST_REQUIRE(eventually(has_all));
    int heard = 0;
    start([&] {
        for (std::string line; heard < lines && s.read_line(line); ++heard)
            ;
    });
    BOOST_TEST(heard < lines);
    BOOST_TEST(run_until([&] { return scheduler.size() == 0; }));
    BOOST_TEST(heard == lines);
}

BOOST_FIXTURE_TEST_CASE(a_limit_is_the_next_timer, with_jobs)
{
    boost::system::error_code ec;
    auto const before = clk::now();
    start([&] {
        client_stream s(echoes.address());
        s.timeout(50ms);
        char byte;
        s.read_some(boost::asio::buffer(&byte, 1), ec);
    });
    BOOST_TEST(run_until([&] { return scheduler.size() == 0; }));
    BOOST_CHECK(ec == boost::asio::error::timed_out);
    BOOST_CHECK(clk::now() - before >= 50ms);
    BOOST_CHECK(scheduler.next_timer() == clk::time_point::max());
}

BOOST_FIXTURE_TEST_CASE(a_limit_that_is_not_reached_stays_in_the_timers, with_jobs)
{
    std::vector<clk::time_point> timers;
    start([&] {
        client_stream s(echoes.address());
        for (auto const limit : {10s, 10s, 15s, 2s, 2s, 18s})
        {
            s.timeout(limit);
            BOOST_TEST(ask(s, "hello") == "hello");
            timers.push_back(scheduler.next_timer());
        }
    });
    BOOST_TEST(run_until([&] { return scheduler.size() == 0; }));
    BOOST_REQUIRE(timers.size() == 6);
    BOOST_CHECK(timers[1] == timers[0]);
    BOOST_CHECK(timers[2] == timers[0]);
    BOOST_CHECK(timers[3] < timers[0] - 5s);
    BOOST_CHECK(timers[4] == timers[3]);
    BOOST_CHECK(timers[5] == timers[3]);
    BOOST_CHECK(scheduler.next_timer() == clk::time_point::max());
}

BOOST_FIXTURE_TEST_CASE(a_limit_after_a_shorter_one_ends_no_wait_too_early, with_jobs)
{
    boost::system::error_code ec;
    auto took = clk::duration::zero();
    start([&] {
        client_stream s(echoes.address());
        s.timeout(20ms);
        ask(s, "hello");
        s.timeout(100ms);
        auto const before = clk::now();
        char byte;
        s.read_some(boost::asio::buffer(&byte, 1), ec);
        took = clk::now() - before;
    });
    BOOST_TEST(run_until([&] { return scheduler.size() == 0; }));
    BOOST_CHECK(ec == boost::asio::error::timed_out);
    BOOST_CHECK(took >= 100ms);
}

BOOST_FIXTURE_TEST_CASE(a_stream_of_another_thread_cannot_be_waited_for, with_jobs)
{
    client_stream s(echoes.address());
    std::string first;
    // It has to wait, and so becomes this thread's.
    start([&] { first = hear(s); });
    say(s, "mine");
    BOOST_TEST(run_until([&] { return scheduler.size() == 0; }));
    BOOST_TEST(first == "mine");

    boost::system::error_code ec;
    std::thread([&] {
        coroutine_scheduler other;
        other.start(make_job([&] {
            char byte;
            s.read_some(boost::asio::buffer(&byte, 1), ec);
        }));
    }).join();
    BOOST_CHECK(ec == boost::system::errc::cross_device_link);
}

BOOST_FIXTURE_TEST_CASE(a_forked_process_begins_without_coroutines, with_jobs)
{
    client_stream s(echoes.address());
    std::string line;
    start([&] { line = hear(s); });
    process child([&] {
        scheduler.after_fork();
        if (scheduler.size() != 0 || scheduler.descriptor() != -1)
            throw std::runtime_error("it takes the parent's for its own");
        bool ran = false;
        start([&] { ran = true; });
        if (!ran)
            throw std::runtime_error("it runs nothing");
    });
    BOOST_TEST(child.wait() == 0, child.errors());
    // The parent's are not disturbed.
    s.send_all("hello\n");
    BOOST_TEST(run_until([&] { return scheduler.size() == 0; }));
    BOOST_TEST(line == "hello");
}
