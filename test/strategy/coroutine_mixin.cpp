// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/coroutine_mixin.hpp>

#define BOOST_TEST_MODULE coroutine_mixin

#include "support/matrix_cells.hpp"
#include "support/matrix_memory.hpp"
#include "support/matrix_threads.hpp"

#include <socketserver/this_request.hpp>

#include <boost/test/unit_test.hpp>

#include <exception>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace matrix;
using socketserver::coroutine_mixin;
using socketserver::tcp_server;
namespace this_request = socketserver::this_request;
using coroutine = coroutine_mixin<tcp_server>;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

BOOST_AUTO_TEST_CASE(there_may_be_many_by_default)
{
    BOOST_TEST(socketserver::default_max_coroutines() >= 64);
}

BOOST_FIXTURE_TEST_CASE(all_requests_run_in_the_thread_of_the_loop, nothing_left)
{
    auto const before = threads_of();
    served_as<coroutine> server(tells_its_thread, [](auto& s) { s.max_run = 0s; });
    std::vector<client_stream> clients;
    std::set<std::string> threads;
    for (int i = 0; i < 10; ++i)
    {
        clients.push_back(server.client());
        threads.insert(hear(clients.back()));
    }
    BOOST_TEST(threads.size() == 1);
    BOOST_TEST(!threads.contains(std::to_string(::gettid())));
    BOOST_TEST(threads_of() == before + 1);
}

BOOST_FIXTURE_TEST_CASE(two_that_wait_in_their_catch_blocks_keep_their_own_exceptions, nothing_left)
{
    served_as<coroutine> server([](stream& s) {
        std::string line;
        s.read_line(line);
        try
        {
            throw std::runtime_error("error of " + line);
        }
        catch (std::exception const& e)
        {
            s.wfile() << e.what() << '\n';
            s.read_line(line);
            s.wfile() << e.what() << " and " << text_of(std::current_exception()) << '\n';
            throw;
        }
    });
    auto a = server.client();
    auto b = server.client();
    BOOST_TEST(ask(a, "A") == "error of A");
    BOOST_TEST(ask(b, "B") == "error of B");
    // The first to begin is the first to end: a stack of exceptions would be the wrong way round.
    BOOST_TEST(ask(a, "go on") == "error of A and error of A");
    BOOST_TEST(server.seen().error_seen.wait());
    BOOST_TEST(server.seen().last_error.read() == "error of A");
    BOOST_TEST(ask(b, "go on") == "error of B and error of B");
    BOOST_TEST(server.seen().error_seen.wait());
    BOOST_TEST(server.seen().last_error.read() == "error of B");
}

BOOST_FIXTURE_TEST_CASE(one_that_waits_while_it_unwinds_unwinds_alone, nothing_left)
{
    // Says goodbye, however its scope is left, and waits for the answer.
    struct goodbye
    {
        stream& s;

        ~goodbye()
        {
            s.wfile() << "unwinding " << std::uncaught_exceptions() << '\n';
            std::string line;
            s.read_line(line);
            s.wfile() << "still " << std::uncaught_exceptions() << '\n';
        }
    };

    served_as<coroutine> server([](stream& s) {
        std::string line;
        s.read_line(line);
        if (line != "throw")
        {
            s.wfile() << std::uncaught_exceptions() << '\n';
            return;
        }
        goodbye const guard{s};
        throw std::runtime_error("thrown");
    });
    auto thrower = server.client();
    BOOST_TEST(ask(thrower, "throw") == "unwinding 1");
    auto other = server.client();
    BOOST_TEST(ask(other, "count") == "0");
    auto second = server.client();
    BOOST_TEST(ask(second, "throw") == "unwinding 1");
    BOOST_TEST(ask(thrower, "ok") == "still 1");
    BOOST_TEST(server.seen().error_seen.wait());
    BOOST_TEST(ask(second, "ok") == "still 1");
    BOOST_TEST(server.seen().error_seen.wait());
    BOOST_TEST(server.seen().last_error.read() == "thrown");
}

BOOST_FIXTURE_TEST_CASE(exceptions_within_exceptions_are_kept_too, nothing_left)
{
    served_as<coroutine> server([](stream& s) {
        std::string outer;
        std::string inner;
        s.read_line(outer);
        try
        {
            throw std::runtime_error(outer);
        }
        catch (std::exception const& first)
        {
            s.wfile() << "?\n";
            s.read_line(inner);
            try
            {
                throw std::runtime_error(inner);
            }
            catch (std::exception const& second)
            {
                s.wfile() << "??\n";
                std::string line;
                s.read_line(line);
                s.wfile() << second.what() << " in " << first.what() << '\n';
            }
            s.wfile() << text_of(std::current_exception()) << '\n';
        }
        s.wfile() << (std::current_exception() ? "some" : "none") << '\n';
    });
    std::vector<client_stream> clients;
    for (int i = 0; i < 4; ++i)
        clients.push_back(server.client());
    for (int i = 0; i < 4; ++i)
        BOOST_TEST(ask(clients[i], "outer " + std::to_string(i)) == "?");
    for (int i : {2, 0, 3, 1})
        BOOST_TEST(ask(clients[i], "inner " + std::to_string(i)) == "??");
    for (int i : {1, 2, 0, 3})
    {
        auto const n = std::to_string(i);
        BOOST_TEST(ask(clients[i], "go") == "inner " + n + " in outer " + n);
        BOOST_TEST(hear(clients[i]) == "outer " + n);
        BOOST_TEST(hear(clients[i]) == "none");
    }
}

BOOST_FIXTURE_TEST_CASE(many_wait_at_once, nothing_left)
{
    served_as<coroutine> server(echo);
    std::vector<client_stream> clients;
    for (int i = 0; i < 300; ++i)
        clients.push_back(server.client());
    for (int round = 0; round < 3; ++round)
    {
        for (int i = 0; i < 300; ++i)
            say(clients[i], std::to_string(i));
        for (int i = 300; i-- > 0;)
            BOOST_TEST(hear(clients[i]) == std::to_string(i));
    }
}

BOOST_FIXTURE_TEST_CASE(
    one_that_always_finds_something_does_not_keep_the_loop_for_ever, nothing_left)
{
    // Its client says more than it reads, and reads all that it says.
    served_as<coroutine> server([](stream& s) {
        char buffer[1000];
        for (boost::system::error_code ec; !ec;)
        {
            auto const n = s.read_some(boost::asio::buffer(buffer), ec);
            if (!ec)
                s.write_some(boost::asio::buffer(buffer, n), ec);
        }
    });
    auto busy = server.client();
    std::thread talks([&] {
        std::string const much(100'000, 'x');
        boost::system::error_code ec;
        while (!ec)
            busy.send_all(much, ec);
    });
    std::thread listens([&] {
        std::vector<char> buffer(100'000);
        boost::system::error_code ec;
        while (!ec)
            busy.read_some(boost::asio::buffer(buffer), ec);
    });
    for (int i = 0; i < 10; ++i)
    {
        auto client = server.client();
        BOOST_TEST(ask(client, "me too") == "me too");
    }
    auto const took = duration_of([&] { server.server().shutdown(); });
    BOOST_TEST(took < 2s);
    busy.abort();
    talks.join();
    listens.join();
}

BOOST_FIXTURE_TEST_CASE(one_may_write_to_the_client_of_another, nothing_left)
{
    std::vector<stream*> all;
    served_as<coroutine> server([&](stream& s) {
        all.push_back(&s);
        for (std::string line; s.read_line(line);)
            for (auto* other : all)
                other->try_send(line + '\n');
        std::erase(all, &s);
    });
    auto one = server.client();
    BOOST_TEST(ask(one, "alone") == "alone");
    auto other = server.client();
    BOOST_TEST(ask(other, "both") == "both");
    BOOST_TEST(hear(one) == "both");
    say(one, "again");
    BOOST_TEST(hear(other) == "again");
}

BOOST_FIXTURE_TEST_CASE(shutdown_returns_while_a_coroutine_goes_on, nothing_left)
{
    served_as<coroutine> server(echo);
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "hello");
    server.server().shutdown();
    BOOST_TEST(ask(client, "still there?") == "still there?");
    client.leave();
    server.join();
}

BOOST_FIXTURE_TEST_CASE(serve_forever_aborts_what_outlives_the_drain_timeout, nothing_left)
{
    settings set;
    set.drain_timeout = 100ms;
    served_as<coroutine> server([](stream& s) { s.rfile().get(); }, set);
    auto client = server.client();
    BOOST_TEST(eventually([&] { return server.seen().verified == 1; }));
    auto const took = duration_of([&] { server.stop(); });
    BOOST_TEST(took >= 95ms);
    BOOST_TEST(took < 2s);
    BOOST_TEST(server.seen().last_error.read() ==
               make_error_code(boost::asio::error::operation_aborted).message());
}

BOOST_FIXTURE_TEST_CASE(handle_request_runs_them_in_a_thread_of_theirs, nothing_left)
{
    auto const before = threads_of();
    socketserver::ready<coroutine> server("127.0.0.1:0", tells_its_thread);
    server.max_run = 0s;
    BOOST_TEST(threads_of() == before);
    std::vector<client_stream> clients;
    std::set<std::string> threads;
    for (int i = 0; i < 3; ++i)
    {
        clients.emplace_back(server.server_address());
        server.handle_request();
        // Nobody has ended: they run at once.
        threads.insert(hear(clients.back()));
    }
    BOOST_TEST(threads.size() == 1);
    BOOST_TEST(!threads.contains(std::to_string(::gettid())));
    BOOST_TEST(threads_of() == before + 1);
}

BOOST_FIXTURE_TEST_CASE(handle_request_and_serve_forever_may_take_turns, nothing_left)
{
    socketserver::ready<coroutine> server("127.0.0.1:0", echo);
    client_stream first(server.server_address());
    server.handle_request();
    BOOST_TEST(ask(first, "first") == "first");
    std::thread loop([&] { server.serve_forever(1h); });
    {
        client_stream second(server.server_address());
        BOOST_TEST(ask(second, "second") == "second");
        BOOST_TEST(ask(first, "still there?") == "still there?");
    }
    server.shutdown();
    loop.join();
    BOOST_TEST(ask(first, "even now?") == "even now?");
}

BOOST_FIXTURE_TEST_CASE(an_abort_reaches_the_thread_of_theirs, nothing_left)
{
    shared<observations> seen;
    // It stays longer than the server.
    std::optional<client_stream> client;
    {
        socketserver::ready<observed<coroutine>> server(
            *seen, settings(), "127.0.0.1:0", [](stream& s) { s.rfile().get(); });
        client.emplace(server.server_address());
        server.handle_request();
        server.request_abort();
    }
    BOOST_TEST(seen->last_error.read() ==
               make_error_code(boost::asio::error::operation_aborted).message());
}

BOOST_FIXTURE_TEST_CASE(thousands_of_connections_in_a_row_leave_nothing_in_memory, nothing_left)
{
    served_as<coroutine> server([](stream& s) {
        try
        {
            std::string line;
            s.read_line(line);
            throw std::runtime_error(line);
        }
        catch (std::exception const& e)
        {
            s.wfile() << e.what() << '\n';
        }
    });
    auto const connections = [&](int n) {
        for (int i = 0; i < n; ++i)
        {
            auto client = server.client();
            BOOST_REQUIRE_EQUAL(ask(client, "hello"), "hello");
        }
    };
    connections(200);
    auto const before = allocated_bytes();
    auto const mappings = mappings_of_this_process();
    connections(3000);
    BOOST_TEST(allocated_bytes() < before + 50'000);
    BOOST_TEST(mappings_of_this_process() <= mappings + 10);
}
