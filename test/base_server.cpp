// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The loop: what it takes, and when it serves its actions.

#include <socketserver/base_server.hpp>

#define BOOST_TEST_MODULE base_server
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/bell.hpp"
#include "support/lasts.hpp"
#include "support/names.hpp"

#include <atomic>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <string>

namespace data = boost::unit_test::data;
using namespace support;

BOOST_FIXTURE_TEST_SUITE(servers, bell_tower)

BOOST_AUTO_TEST_CASE(takes_requests_until_it_is_shut_down)
{
    beside loop(serve());
    for (int i = 1; i <= 50; ++i)
    {
        server.ring();
        wait_for(server.taken, i);
    }
    server.shutdown();
    loop.get();
    BOOST_TEST(server.taken == 50);
    // And again.
    beside second(serve());
    server.ring();
    wait_for(server.taken, 51);
    server.shutdown();
    second.get();
}

BOOST_AUTO_TEST_CASE(is_served_once_at_a_time)
{
    beside loop(serve());
    loop.wait_until_asleep();
    BOOST_CHECK_EXCEPTION(server.serve_forever(), std::logic_error, names("unix:@bell"));
    BOOST_CHECK_EXCEPTION(server.handle_request(), std::logic_error, names("served already"));
    server.shutdown();
    loop.get();
}

BOOST_DATA_TEST_CASE_F(bell_tower, refuses_a_poll_interval_that_is_none, data::make({0, -1}))
{
    BOOST_CHECK_THROW(
        server.serve_forever(std::chrono::nanoseconds(sample)), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(refuses_to_serve_what_is_closed)
{
    server.server_close();
    BOOST_CHECK_EXCEPTION(server.serve_forever(), std::logic_error, names("closed"));
    BOOST_CHECK_EXCEPTION(server.handle_request(), std::logic_error, names("closed"));
    server.server_close();
    BOOST_TEST(server.fileno() == -1);
}

BOOST_AUTO_TEST_CASE(refuses_to_serve_what_is_not_bound)
{
    ready<test_bell> unbound(defer_activation, 0);
    BOOST_CHECK_EXCEPTION(unbound.serve_forever(), std::logic_error, names("activate()"));
}

BOOST_AUTO_TEST_CASE(serves_the_actions_every_poll_interval)
{
    check_lasts(200ms, [&] {
        server.services = 0;
        server.on_service = [&] {
            if (server.services == 10)
                server.request_shutdown();
        };
        server.serve_forever(20ms);
    });
}

BOOST_AUTO_TEST_CASE(serves_the_actions_after_requests_at_any_interval)
{
    beside loop(serve(1h));
    server.ring();
    wait_for(server.services, 1);
    BOOST_TEST(server.taken == 1);
    loop.wait_until_asleep();
    server.shutdown();
    loop.get();
    BOOST_TEST(server.services == 1);
}

BOOST_AUTO_TEST_CASE(an_interval_may_be_as_long_as_can_be_said)
{
    beside loop(serve(std::chrono::nanoseconds::max()));
    server.ring();
    wait_for(server.taken, 1);
    server.shutdown();
    loop.get();
}

BOOST_AUTO_TEST_CASE(what_the_actions_throw_ends_the_loop_and_is_passed_on)
{
    server.on_service = [] { throw std::runtime_error("of the actions"); };
    BOOST_CHECK_EXCEPTION(server.serve_forever(1ms), std::runtime_error, names("of the actions"));
    server.on_service = nullptr;
    // Nobody waits for a loop that has ended so.
    server.shutdown();
    server.serve_forever(1h);
    beside loop(serve());
    server.ring();
    wait_for(server.taken, 1);
    server.shutdown();
    loop.get();
}

BOOST_AUTO_TEST_CASE(knows_the_thread_of_its_loop)
{
    std::atomic<bool> inside{false};
    server.on_request = [&] { inside = server.in_loop_thread(); };
    beside loop(serve());
    server.ring();
    wait_for(server.taken, 1);
    BOOST_TEST(inside);
    BOOST_TEST(!server.in_loop_thread());
    server.shutdown();
    loop.get();
}

BOOST_AUTO_TEST_CASE(handles_one_request)
{
    server.ring();
    server.ring();
    server.handle_request();
    BOOST_TEST(server.taken == 1);
    server.handle_request();
    BOOST_TEST(server.taken == 2);
    beside waits([&] { server.handle_request(); });
    waits.wait_until_asleep();
    server.ring();
    waits.get();
    BOOST_TEST(server.taken == 3);
    BOOST_TEST(server.timeouts == 0);
    BOOST_TEST(server.services == 0);
}

BOOST_AUTO_TEST_CASE(waits_for_one_request_as_long_as_the_timeout)
{
    server.timeout = 100ms;
    int n = 0;
    check_lasts(100ms, [&] {
        server.handle_request();
        BOOST_TEST(server.timeouts == ++n);
    });
    server.timeout = 0ms;
    server.handle_request();
    BOOST_TEST(server.timeouts == n + 1);
    // What is there is taken even without any time.
    server.ring();
    server.handle_request();
    BOOST_TEST(server.taken == 1);
    BOOST_TEST(server.timeouts == n + 1);
}

BOOST_AUTO_TEST_CASE(constructing_one_starts_nothing)
{
    auto const threads = [] {
        std::ifstream status("/proc/self/status");
        std::string line;
        while (std::getline(status, line) && !line.starts_with("Threads:"))
            ;
        return line;
    };
    auto const before = threads();
    ready<test_bell> another(0);
    BOOST_TEST(threads() == before);
}

BOOST_AUTO_TEST_SUITE_END()
