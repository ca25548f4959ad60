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
#include <exception>
#include <string>
#include <unistd.h>

namespace matrix {

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

inline std::string const timed_out = make_error_code(boost::asio::error::timed_out).message();
inline std::string const aborted = make_error_code(boost::asio::error::operation_aborted).message();

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

} // namespace matrix

#endif
