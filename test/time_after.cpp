// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/time_after.hpp>

#define BOOST_TEST_MODULE time_after

#include <boost/test/unit_test.hpp>

#include <chrono>

using socketserver::time_after;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

BOOST_AUTO_TEST_CASE(is_so_much_later)
{
    auto const before = clock_type::now();
    auto const then = time_after(1h);
    BOOST_TEST((then >= before + 1h));
    BOOST_TEST((then <= clock_type::now() + 1h));
}

BOOST_AUTO_TEST_CASE(is_past_for_less_than_nothing)
{
    BOOST_TEST((time_after(-1h) < clock_type::now()));
}

BOOST_AUTO_TEST_CASE(is_the_end_of_time_where_no_clock_reaches)
{
    BOOST_TEST((time_after(std::chrono::nanoseconds::max()) == clock_type::time_point::max()));
    BOOST_TEST((time_after(std::chrono::nanoseconds::max() - 1s) == clock_type::time_point::max()));
}
