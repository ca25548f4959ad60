// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/coroutine_threads.hpp>

#define BOOST_TEST_MODULE coroutine_threads

#include "support/logged.hpp"
#include "support/matrix_cells.hpp"
#include "support/matrix_jobs.hpp"
#include "support/matrix_threads.hpp"

#include <socketserver/ready.hpp>
#include <socketserver/strategy/coroutine_mixin.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace matrix;
using socketserver::coroutine_threads;

using coroutine = socketserver::coroutine_mixin<socketserver::tcp_server>;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// Threads, and a server for their coroutines to wait for.
struct with_jobs : job_server, nothing_left
{
    // Starts a request that hears a line and tells in which thread.
    void start_one(std::size_t most)
    {
        auto& s = streams.emplace_back(echoes.address());
        threads.start(make_job([this, &s] {
            auto const begun_in = ::gettid();
            {
                std::lock_guard const lock(mutex);
                ++runs_in[begun_in];
            }
            begun.open();
            hear(s);
            same_thread = same_thread && ::gettid() == begun_in;
            ended.open();
        }),
            most);
    }

    void end_one()
    {
        say(streams[answered++], "go on");
        BOOST_TEST(ended.wait());
    }

    void teardown()
    {
        while (answered < streams.size())
            end_one();
        BOOST_TEST(eventually([&] { return threads.size() == 0; }));
        BOOST_TEST(same_thread);
        left.reset();
        streams.clear();
        echoes.end();
        nothing_left::teardown();
    }

    gate begun;
    gate ended;
    std::mutex mutex;
    std::map<pid_t, int> runs_in;
    std::atomic<bool> same_thread{true};
    std::size_t answered = 0;
    served echoes{cell_of("threading"), echo};
    std::deque<client_stream> streams;
    std::optional<coroutine_threads> left{std::in_place};
    coroutine_threads& threads = *left;
};

} // namespace

BOOST_FIXTURE_TEST_CASE(a_thread_is_started_by_the_first_request, with_jobs)
{
    BOOST_TEST(threads.size() == 0);
    BOOST_TEST(threads.fewest(2) == 0);
    auto const before = threads_of();
    coroutine_threads const unused;
    BOOST_TEST(threads_of() == before);
    start_one(2);
    BOOST_TEST(begun.wait());
    BOOST_TEST(threads.size() == 1);
    BOOST_TEST(runs_in.size() == 1);
    BOOST_TEST(!runs_in.contains(::gettid()));
}

BOOST_FIXTURE_TEST_CASE(each_gets_as_many_as_the_others, with_jobs)
{
    for (int i = 0; i < 9; ++i)
        start_one(3);
    for (int i = 0; i < 9; ++i)
        BOOST_TEST(begun.wait());
    BOOST_TEST(threads.size() == 9);
    BOOST_TEST(threads.fewest(3) == 3);
    BOOST_TEST(threads.fewest(4) == 0);
    BOOST_TEST(runs_in.size() == 3);
    for (auto const& [thread, n] : runs_in)
        BOOST_TEST(n == 3);
}

BOOST_FIXTURE_TEST_CASE(no_thread_is_started_beside_an_idle_one, with_jobs)
{
    for (int i = 0; i < 5; ++i)
    {
        start_one(4);
        end_one();
        BOOST_TEST(eventually([&] { return threads.size() == 0; }));
    }
    BOOST_TEST(runs_in.size() == 1);
}

BOOST_FIXTURE_TEST_CASE(the_threads_run_what_they_have_before_they_end, with_jobs)
{
    for (int i = 0; i < 20; ++i)
        start_one(2);
    std::thread ends([&] { left.reset(); });
    for (int i = 0; i < 20; ++i)
        end_one();
    ends.join();
    left.emplace();
}

BOOST_FIXTURE_TEST_CASE(a_request_stays_with_the_caller_where_no_thread_can_be_started, with_jobs)
{
    auto job = make_job([] {});
    {
        no_more_threads const none;
        BOOST_CHECK_THROW(threads.start(std::move(job), 2), std::system_error);
    }
    BOOST_REQUIRE(job != nullptr);
    BOOST_TEST(threads.size() == 0);
    threads.start(std::move(job), 2);
}

BOOST_FIXTURE_TEST_CASE(where_no_more_can_be_started_those_that_there_are_do_all, with_jobs)
{
    start_one(2);
    {
        no_more_threads const none;
        start_one(2);
    }
    start_one(2);
    for (int i = 0; i < 3; ++i)
        BOOST_TEST(begun.wait());
    BOOST_TEST(runs_in.size() == 2);
}

BOOST_FIXTURE_TEST_CASE(a_request_for_which_a_thread_has_no_stack_was_refused, nothing_left)
{
    support::logged log;
    socketserver::ready<coroutine> server("127.0.0.1:0", echo);
    server.threads = 2;
    // There are no such addresses.
    server.stack_size = std::numeric_limits<std::size_t>::max() / 4;
    client_stream client(server.server_address());
    server.handle_request();
    BOOST_TEST(hear(client) == the_end);
    BOOST_TEST(eventually([&] { return server.counters().active == 0; }));
    BOOST_TEST(server.counters().refused_at_limit == 1u);
    BOOST_TEST(log.wait_for(client.local_endpoint().str() + ": closed, as no coroutine"));
}

BOOST_FIXTURE_TEST_CASE(a_forked_process_begins_without_the_threads, with_jobs)
{
    start_one(2);
    BOOST_TEST(begun.wait());
    process child([&] {
        threads.after_fork();
        if (threads.size() != 0)
            throw std::runtime_error("it takes the parent's for its own");
        gate ran;
        threads.start(make_job([&] { ran.open(); }), 2);
        if (!ran.wait())
            throw std::runtime_error("it runs nothing");
    });
    BOOST_TEST(child.wait() == 0, child.errors());
    // The parent's are not disturbed.
    end_one();
}
