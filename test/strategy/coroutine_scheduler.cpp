// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/coroutine_scheduler.hpp>

#define BOOST_TEST_MODULE coroutine_scheduler

#include "support/matrix_cells.hpp"
#include "support/matrix_jobs.hpp"
#include "support/matrix_threads.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace matrix;
using socketserver::coroutine_scheduler;
using socketserver::coroutine_thread;
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
            auto const left = std::clamp(scheduler.next_timer(), now, end) - now;
            auto const ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
            pollfd fd{scheduler.descriptor(), POLLIN, 0};
            ::poll(&fd, 1, static_cast<int>(ms));
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

BOOST_FIXTURE_TEST_CASE(a_stream_of_another_thread_cannot_be_waited_for, with_jobs)
{
    client_stream s(echoes.address());
    std::string first;
    start([&] { first = ask(s, "mine"); });
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

BOOST_FIXTURE_TEST_CASE(the_thread_is_started_by_the_first_request, with_jobs)
{
    auto const before = threads_of();
    {
        coroutine_thread thread;
        BOOST_TEST(threads_of() == before);
        BOOST_TEST(thread.size() == 0);
        gate ended;
        std::atomic<pid_t> in{0};
        std::atomic<bool> inside{false};
        thread.start(make_job([&] {
            in = ::gettid();
            inside = thread.inside();
            client_stream s(echoes.address());
            ask(s, "hello");
            ended.open();
        }));
        BOOST_TEST(ended.wait());
        BOOST_TEST(in != ::gettid());
        BOOST_TEST(inside);
        BOOST_TEST(!thread.inside());
        BOOST_TEST(eventually([&] { return thread.size() == 0; }));
    }
}

BOOST_FIXTURE_TEST_CASE(the_thread_runs_what_it_has_before_it_ends, with_jobs)
{
    std::atomic<int> ended{0};
    {
        coroutine_thread thread;
        for (int i = 0; i < 20; ++i)
            thread.start(make_job([&] {
                client_stream s(echoes.address());
                ask(s, "hello");
                ++ended;
            }));
    }
    BOOST_TEST(ended == 20);
}

BOOST_FIXTURE_TEST_CASE(a_request_stays_with_the_caller_where_no_thread_can_be_started, with_jobs)
{
    coroutine_thread thread;
    auto job = make_job([] {});
    {
        no_more_threads const none;
        BOOST_CHECK_THROW(thread.start(std::move(job)), std::system_error);
    }
    BOOST_REQUIRE(job != nullptr);
    BOOST_TEST(thread.size() == 0);
    thread.start(std::move(job));
    BOOST_TEST(eventually([&] { return thread.size() == 0; }));
}

BOOST_FIXTURE_TEST_CASE(a_forked_process_begins_without_the_thread, with_jobs)
{
    // Outlives the thread, which has it in its set.
    client_stream s(echoes.address());
    coroutine_thread thread;
    gate begun;
    gate ended;
    std::string line;
    thread.start(make_job([&] {
        begun.open();
        line = hear(s);
        ended.open();
    }));
    BOOST_TEST(begun.wait());
    process child([&] {
        thread.after_fork();
        if (thread.size() != 0)
            throw std::runtime_error("it takes the parent's for its own");
    });
    BOOST_TEST(child.wait() == 0, child.errors());
    s.send_all("hello\n");
    BOOST_TEST(ended.wait());
    BOOST_TEST(line == "hello");
}
