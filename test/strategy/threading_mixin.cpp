// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/threading_mixin.hpp>

#define BOOST_TEST_MODULE threading_mixin

#include "support/logged.hpp"
#include "support/matrix_cells.hpp"
#include "support/matrix_threads.hpp"

#include <boost/test/unit_test.hpp>

#include <set>
#include <string>
#include <thread>
#include <unistd.h>

using namespace matrix;
using socketserver::tcp_server;
using socketserver::threading_mixin;
using threading = threading_mixin<tcp_server>;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

BOOST_FIXTURE_TEST_CASE(a_server_that_was_not_asked_has_no_thread, nothing_left)
{
    auto const before = threads_of();
    served_as<threading> server(echo);
    BOOST_TEST(threads_of() == before + 1); // the one that serves
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "hello");
    BOOST_TEST(threads_of() == before + 2);
}

BOOST_FIXTURE_TEST_CASE(a_request_runs_in_a_thread_of_its_own, nothing_left)
{
    served_as<threading> server(tells_its_thread);
    auto one = server.client();
    auto other = server.client();
    auto const first = hear(one);
    auto const second = hear(other);
    BOOST_TEST(first != second);
    BOOST_TEST(first != std::to_string(::gettid()));
}

BOOST_FIXTURE_TEST_CASE(threads_are_used_again, nothing_left)
{
    served_as<threading> server(tells_its_thread);
    std::set<std::string> threads;
    for (int i = 0; i < 100; ++i)
    {
        auto client = server.client();
        threads.insert(hear(client));
    }
    // A client may be faster than the thread that has just served the one before.
    BOOST_TEST(threads.size() <= 4);
}

BOOST_FIXTURE_TEST_CASE(there_are_no_more_threads_than_max_threads, nothing_left)
{
    auto const before = threads_of();
    served_as<threading> server(echo, [](threading& s) { s.max_threads = 3; });
    std::vector<client_stream> clients;
    for (int i = 0; i < 6; ++i)
    {
        clients.push_back(server.client());
        say(clients.back(), std::to_string(i));
    }
    for (int i = 0; i < 6; ++i)
    {
        BOOST_TEST(hear(clients.front()) == std::to_string(i));
        BOOST_TEST(threads_of() <= before + 1 + 3);
        clients.erase(clients.begin());
    }
}

BOOST_FIXTURE_TEST_CASE(server_close_waits_for_requests, nothing_left)
{
    served_as<threading> server(echo);
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "hello");
    gate closed;
    std::thread closes([&] {
        server.server().server_close();
        closed.open();
    });
    server.join();
    BOOST_TEST(ask(client, "still there?") == "still there?");
    BOOST_TEST(!closed.wait(0s));
    client.leave();
    BOOST_TEST(closed.wait());
    closes.join();
}

BOOST_FIXTURE_TEST_CASE(server_close_does_not_wait_for_daemon_threads, nothing_left)
{
    served_as<threading> server(echo, [](threading& s) { s.daemon_threads = true; });
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "hello");
    server.server().server_close();
    BOOST_TEST(ask(client, "still there?") == "still there?");
}

BOOST_FIXTURE_TEST_CASE(server_close_does_not_wait_when_it_shall_not_block, nothing_left)
{
    served_as<threading> server(echo, [](threading& s) { s.block_on_close = false; });
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "hello");
    server.server().server_close();
    BOOST_TEST(ask(client, "still there?") == "still there?");
}

BOOST_FIXTURE_TEST_CASE(requests_wait_where_the_system_refuses_a_thread, nothing_left)
{
    served_as<threading> server(echo);
    auto first = server.client();
    BOOST_TEST(ask(first, "first") == "first");
    auto second = [&] {
        no_more_threads const none;
        auto client = server.client();
        say(client, "second");
        BOOST_TEST(is_silent(client));
        // Nor does it disturb the one that has its thread.
        BOOST_TEST(ask(first, "first again") == "first again");
        return client;
    }();
    first.leave();
    BOOST_TEST(hear(second) == "second");
    auto third = server.client();
    BOOST_TEST(ask(third, "third") == "third");
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_FIXTURE_TEST_CASE(a_request_that_gets_no_thread_at_all_waits_until_there_is_one, nothing_left)
{
    support::logged log;
    served_as<threading> server(echo);
    auto [first, second] = [&] {
        no_more_threads const none;
        auto clients = std::pair(server.client(), server.client());
        say(clients.first, "now?");
        say(clients.second, "now?");
        BOOST_TEST(eventually([&] { return log.count("cannot take requests for now") == 1; }));
        BOOST_TEST(is_silent(clients.first));
        return clients;
    }();
    BOOST_TEST(hear(first) == "now?");
    BOOST_TEST(hear(second) == "now?");
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_FIXTURE_TEST_CASE(handle_request_runs_it_in_a_thread, nothing_left)
{
    socketserver::ready<threading> server("127.0.0.1:0", tells_its_thread);
    client_stream client(server.server_address());
    server.handle_request();
    BOOST_TEST(hear(client) != std::to_string(::gettid()));
}
