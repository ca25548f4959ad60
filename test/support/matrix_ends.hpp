// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_ENDS_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_ENDS_HPP

#include "matrix_process.hpp"
#include "matrix_shared.hpp"
#include "matrix_sides.hpp"
#include "sanitizer.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>
#include <unistd.h>

namespace matrix {

inline std::string const timed_out = make_error_code(boost::asio::error::timed_out).message();
inline std::string const aborted = make_error_code(boost::asio::error::operation_aborted).message();

/** What a handler waited for when its time was up, and for how long. */
struct waited
{
    std::atomic<long> nanoseconds{0};
    note ended_with;
    gate ended;

    void report(std::chrono::steady_clock::time_point since, boost::system::error_code const& ec)
    {
        nanoseconds = std::chrono::nanoseconds(std::chrono::steady_clock::now() - since).count();
        ended_with.write(ec.message());
        ended.open();
    }

    /** Waits for the report, which has to be that its time was up: after how long. */
    std::chrono::nanoseconds until_timed_out()
    {
        BOOST_REQUIRE(ended.wait());
        BOOST_TEST(ended_with.read() == timed_out);
        return std::chrono::nanoseconds(nanoseconds);
    }
};

inline constexpr auto limit = 150ms;

/** Never early, and late by no more than 20 ms. A machine that is busy with something else makes
    anything late often, but not ten times in a row.
*/
template <class Attempt>
void fires_in_time(Attempt const& attempt)
{
    std::chrono::nanoseconds const tolerance = 20ms * support::slowness;
    auto late = std::chrono::nanoseconds::max();
    for (int i = 0; i < 10 && late > tolerance; ++i)
    {
        auto const took = attempt();
        BOOST_REQUIRE_GE(took.count(), std::chrono::nanoseconds(limit - 1ms).count());
        late = std::min<std::chrono::nanoseconds>(late, took - limit);
    }
    BOOST_TEST(std::chrono::duration<double>(late).count() <=
               std::chrono::duration<double>(tolerance).count());
}

/** Says what an operation that is aborted ends with. */
struct interrupted
{
    gate begun;
    gate ended;
    note ended_with;
    std::atomic<int> thread{0};

    template <class Operation>
    void watch(Operation const& operation)
    {
        thread = ::gettid();
        begun.open();
        try
        {
            operation();
            ended_with.write("nothing");
        }
        catch (...)
        {
            ended_with.write(text_of(std::current_exception()));
        }
        ended.open();
    }
};

/** Aborts what the handler waits for, once it does, and ends the server. */
inline void aborts(in_service& server, interrupted& handler)
{
    BOOST_REQUIRE(handler.begun.wait());
    BOOST_REQUIRE(eventually([&] { return state_of(handler.thread) == 'S'; }));
    auto const took = duration_of([&] {
        server.server().request_abort();
        server.end_at_once();
    });
    BOOST_TEST(took < patience / 2);
    BOOST_TEST(handler.ended.wait(0s));
    BOOST_TEST(handler.ended_with.read() == aborted);
}

/** Closes a server that drains for up to 200 ms, whose handler waits for longer. */
inline void closes_in_time(in_service& server, interrupted& handler)
{
    BOOST_REQUIRE(handler.begun.wait());
    auto const took = duration_of([&] {
        server.server().server_close();
        server.end_at_once();
    });
    BOOST_TEST(took >= 190ms);
    BOOST_TEST(took < 2s);
    BOOST_TEST(handler.ended_with.read() == aborted);
}

/** Ends a server with two requests in progress: one when it is told to, one by being aborted.

    @param drain Has the first one end.
*/
template <class Drain>
void drains_one_and_aborts_one(
    in_service& server, strategy_side const& strategy, Drain const& drain)
{
    std::thread end([&] { server.server().end_requests(); });
    auto const loops = strategy.preforks() ? 3u : 1u;
    BOOST_TEST(eventually([&] { return server.seen().stopped == loops; }));
    drain();
    BOOST_TEST(eventually([&] { return server.server().counters().active == 1; }));
    server.server().request_abort();
    end.join();

    auto const r = server.server().report();
    BOOST_TEST(r.drained == 1u);
    BOOST_TEST(r.aborted == 1u);
    BOOST_TEST(r.killed == 0u);
    BOOST_TEST(r.elapsed > 0s);
}

/** A handler that never ends of itself says where it runs. */
struct endless
{
    gate begun;
    std::atomic<int> process{0};

    void begin()
    {
        process = ::getpid();
        begun.open();
    }
};

/** Ends a server whose handler ignores every error, and sees that it ends nevertheless.

    @param serve Serves in a process of its own, until the handler has begun, and a little longer.
*/
template <class Serve>
void outlives_no_abort(strategy_side const& strategy, Serve const& serve)
{
    settings set;
    set.drain_timeout = 50ms;
    set.abort_timeout = 100ms;
    shared<endless> handler;
    // It may be that nothing but the end of the process can end it.
    process whole([&] { serve(set, *handler); });
    BOOST_TEST(duration_of([&] { whole.wait(); }) < patience / 2);
    BOOST_TEST(!is_alive(handler->process));
    if (strategy.own_process)
    {
        BOOST_TEST(whole.wait() == EXIT_FAILURE);
        BOOST_TEST(whole.errors().find("the process ends") != std::string::npos);
    }
    else
        BOOST_TEST(whole.wait() == EXIT_SUCCESS, whole.errors());
}

} // namespace matrix

#endif
