// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// How a server is shut down and closed, by whom, and who waits for whom.

#include <socketserver/base_server.hpp>

#define BOOST_TEST_MODULE base_server_stopping
#include <boost/test/unit_test.hpp>

#include "support/bell.hpp"

#include <socketserver/active_request.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <latch>
#include <thread>
#include <vector>

using namespace support;

BOOST_FIXTURE_TEST_SUITE(servers, bell_tower)

BOOST_AUTO_TEST_CASE(a_shutdown_before_it_serves_is_not_lost)
{
    server.shutdown();
    server.shutdown();
    server.ring();
    server.serve_forever(1h);
    BOOST_TEST(server.taken == 0);
    beside loop(serve());
    wait_for(server.taken, 1);
    server.shutdown();
    loop.get();
}

BOOST_AUTO_TEST_CASE(shutdown_waits_for_the_loop)
{
    std::latch entered{1};
    std::latch leave{1};
    server.on_request = [&] {
        entered.count_down();
        leave.wait();
    };
    beside loop(serve());
    server.ring();
    entered.wait();
    beside shutter([&] { server.shutdown(); });
    shutter.wait_until_asleep();
    BOOST_TEST(!shutter.is_done());
    leave.count_down();
    shutter.get();
    BOOST_TEST(server.taken == 1);
    loop.get();
}

BOOST_AUTO_TEST_CASE(is_served_again_when_a_loop_that_was_stopped_is_left)
{
    std::latch leave{1};
    server.after_loop = [&] { leave.wait(); };
    beside first(serve());
    first.wait_until_asleep();
    server.shutdown();
    BOOST_TEST(!first.is_done());
    beside second(serve());
    second.wait_until_asleep();
    BOOST_TEST(!second.is_done());
    leave.count_down();
    first.get();
    server.ring();
    wait_for(server.taken, 1);
    server.shutdown();
    second.get();
}

BOOST_AUTO_TEST_CASE(shutdown_by_a_request_or_an_action_does_not_wait_for_itself)
{
    server.on_request = [&] { server.shutdown(); };
    server.ring();
    server.serve_forever(1h);
    BOOST_TEST(server.taken == 1);

    server.on_service = [&] { server.shutdown(); };
    server.serve_forever(1ms);

    // A request that runs elsewhere.
    std::latch begin{1};
    beside elsewhere([&] {
        active_request request(server);
        request.enter(endpoint("192.0.2.1:1234"));
        active_request::scope const current(&request);
        begin.wait();
        server.shutdown();
    });
    server.on_service = nullptr;
    server.on_request = [&] {
        begin.count_down();
        elsewhere.get();
    };
    server.ring();
    server.serve_forever(1h);
}

BOOST_AUTO_TEST_CASE(many_may_shut_it_down_at_once)
{
    for (int i = 0; i < 50; ++i)
    {
        beside loop(serve());
        loop.wait_until_asleep();
        std::vector<std::jthread> threads;
        for (int n = 0; n < 4; ++n)
            threads.emplace_back([&] { server.shutdown(); });
        loop.get();
        threads.clear();
        // Who came too late has asked the next one.
        server.shutdown();
        server.serve_forever(1h);
    }
}

BOOST_AUTO_TEST_CASE(a_signal_handler_may_request_a_shutdown)
{
    static base_server* target;
    target = &server;
    auto* const before = std::signal(SIGUSR1, [](int) { target->request_shutdown(); });
    beside loop(serve());
    loop.wait_until_asleep();
    loop.signal(SIGUSR1);
    loop.get();
    std::signal(SIGUSR1, before);
}

BOOST_AUTO_TEST_CASE(an_idle_loop_is_shut_down_at_once)
{
    using clock = std::chrono::steady_clock;
    std::vector<clock::duration> took;
    for (int i = 0; i < 51; ++i)
    {
        beside loop(serve(1h));
        loop.wait_until_asleep();
        auto const begin = clock::now();
        server.shutdown();
        took.push_back(clock::now() - begin);
        loop.get();
    }
    auto const median = took.begin() + 25;
    std::nth_element(took.begin(), median, took.end());
    // A release build on a quiet machine takes some 20 us; sanitizers and company take longer.
    BOOST_TEST((*median < 5ms), "took " << median->count() << " ns");
}

BOOST_AUTO_TEST_CASE(waiting_for_one_request_ends_with_a_shutdown)
{
    beside waits([&] { server.handle_request(); });
    waits.wait_until_asleep();
    server.shutdown();
    waits.get();
    BOOST_TEST(server.timeouts == 0);

    server.shutdown();
    server.ring();
    server.handle_request();
    BOOST_TEST(server.taken == 0);
    server.handle_request();
    BOOST_TEST(server.taken == 1);
}

BOOST_AUTO_TEST_CASE(closing_ends_a_running_loop_normally)
{
    beside loop(serve());
    loop.wait_until_asleep();
    server.server_close();
    BOOST_TEST(server.fileno() == -1);
    loop.get();
}

BOOST_AUTO_TEST_CASE(a_request_may_close_its_server)
{
    server.on_request = [&] { server.server_close(); };
    server.ring();
    server.serve_forever(1h);
    BOOST_TEST(server.taken == 1);
    BOOST_TEST(server.fileno() == -1);
}

BOOST_AUTO_TEST_CASE(closing_waits_for_requests_as_long_as_the_drain_timeout)
{
    server.drain_timeout = 100ms;
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"));
    auto const begin = std::chrono::steady_clock::now();
    server.server_close();
    auto const took = std::chrono::steady_clock::now() - begin;
    BOOST_TEST((took >= 100ms));
    BOOST_TEST((took < 1s));
    BOOST_TEST(!request.aborted());
}

BOOST_AUTO_TEST_CASE(a_drain_timeout_may_be_as_long_as_can_be_said)
{
    server.drain_timeout = std::chrono::nanoseconds::max();
    server.abort_timeout = std::chrono::nanoseconds::max();
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"));
    beside ender([&] { server.end_requests(); });
    ender.wait_until_asleep();
    BOOST_TEST(!request.aborted());
    request.leave();
    ender.get();
}

BOOST_AUTO_TEST_CASE(closing_does_not_wait_where_it_is_not_to_block)
{
    server.block_on_close = false;
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"));
    auto const begin = std::chrono::steady_clock::now();
    server.server_close();
    BOOST_TEST((std::chrono::steady_clock::now() - begin < 10s));
    request.leave();
}

BOOST_AUTO_TEST_CASE(a_request_to_abort_ends_the_wait_for_requests)
{
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"));
    beside closer([&] { server.server_close(); });
    closer.wait_until_asleep();
    server.request_abort();
    closer.get();
    BOOST_TEST(!request.aborted());
    beside ender([&] { server.end_requests(); });
    while (!request.aborted())
        std::this_thread::yield();
    request.leave();
    ender.get();
}

BOOST_AUTO_TEST_SUITE_END()
