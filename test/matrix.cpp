// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Every strategy over every transport: how a conversation begins, goes and ends.

#define BOOST_TEST_MODULE matrix

#include "support/matrix_cells.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <latch>
#include <stdexcept>
#include <string>
#include <vector>

using namespace matrix;
using socketserver::stream_request_handler;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

BOOST_DATA_TEST_CASE_F(nothing_left, answers_an_echo, cells, where)
{
    served server(where, echo);
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "hello");
    BOOST_TEST(ask(client, "again") == "again");
    client.shutdown_send();
    BOOST_TEST(hear(client) == the_end);
}

BOOST_DATA_TEST_CASE_F(nothing_left, serves_many_clients_in_a_row, cells, where)
{
    served server(where, echo);
    for (int i = 0; i < 50; ++i)
    {
        auto client = server.client();
        BOOST_REQUIRE_EQUAL(ask(client, std::to_string(i)), std::to_string(i));
    }
}

BOOST_DATA_TEST_CASE_F(nothing_left, serves_several_clients_at_once, cells_of_several, where)
{
    served server(where, echo);
    std::vector<client_stream> clients;
    for (std::size_t i = 0; i < where.strategy.at_once; ++i)
        clients.push_back(server.client());
    // In the order of arrival none but the first would be answered if they were not.
    for (int round = 0; round < 3; ++round)
        for (auto i = clients.size(); i-- > 0;)
            BOOST_TEST(ask(clients[i], std::to_string(i)) == std::to_string(i));
}

BOOST_DATA_TEST_CASE_F(nothing_left, loses_no_client_of_a_crowd, cells, where)
{
    struct told
    {
        gate begin;
        note server;
        std::atomic<int> answered{0};
    };
    shared<told> all;
    // Processes that are there before the server: it may fork while no thread but its own is busy.
    std::vector<std::unique_ptr<process>> crowd;
    for (int i = 0; i < 6; ++i)
        crowd.push_back(std::make_unique<process>([&] {
            if (!all->begin.wait())
                return;
            endpoint const address(all->server.read());
            for (int j = 0; j < 10; ++j)
            {
                client_stream client(address);
                if (ask(client, "here") == "here")
                    ++all->answered;
            }
        }));
    served server(where, echo);
    all->server.write(server.address().str());
    for (std::size_t i = 0; i < crowd.size(); ++i)
        all->begin.open();
    for (auto const& one : crowd)
        BOOST_TEST(one->wait() == 0, one->errors());
    BOOST_TEST(all->answered == 60);
}

BOOST_DATA_TEST_CASE_F(nothing_left, an_exception_ends_its_request_alone, cells, where)
{
    served server(where, [](stream& s) {
        std::string line;
        s.read_line(line);
        if (line == "int")
            throw 42;
        if (line == "error")
            throw std::runtime_error("the handler failed");
        if (line == "after an answer")
        {
            s.wfile() << "the answer\n";
            throw std::runtime_error("too late");
        }
        s.wfile() << line << '\n';
    });
    auto const fails = [&](char const* how, char const* answer, char const* report) {
        auto client = server.client();
        BOOST_TEST(ask(client, how) == answer);
        BOOST_REQUIRE(server.seen().error_seen.wait());
        BOOST_TEST(server.seen().last_error.read() == report);
    };
    fails("int", the_end, "42");
    fails("error", the_end, "the handler failed");
    fails("after an answer", "the answer", "too late");
    auto client = server.client();
    BOOST_TEST(ask(client, "still there?") == "still there?");
    BOOST_TEST(server.seen().errors == 3);
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, a_handler_that_cannot_be_made_ends_its_request_alone, cells, where)
{
    class unmade : public stream_request_handler
    {
    public:
        explicit unmade(shared<std::atomic<int>> const& made)
        {
            if ((*made)++ == 0)
                throw std::runtime_error("not the first time");
        }

        void handle() override { echo(request()); }
    };

    shared<std::atomic<int>> made(0);
    served server(where, socketserver::handler<unmade>(std::cref(made)));
    auto first = server.client();
    BOOST_TEST(hear(first) == the_end);
    BOOST_REQUIRE(server.seen().error_seen.wait());
    BOOST_TEST(server.seen().last_error.read() == "not the first time");
    auto second = server.client();
    BOOST_TEST(ask(second, "and now?") == "and now?");
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, a_large_reply_reaches_a_client_that_had_sent_more_than_was_read, cells, where)
{
    static constexpr std::size_t megabyte = 1 << 20;
    served server(where, [](stream& s) {
        std::string line;
        s.read_line(line);
        s.send_all(std::string(megabyte, 'x'));
    });
    for (int i = 0; i < 3; ++i)
    {
        auto client = server.client();
        client.send_all("question\n" + std::string(100'000, 'y'));
        auto const reply = hear_all(client);
        BOOST_TEST(reply.size() == megabyte);
    }
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, closes_a_client_that_it_does_not_verify, cells, where)
{
    served server(where, echo);
    server.seen().refuses = true;
    {
        auto client = server.client();
        BOOST_TEST(hear(client) == the_end);
    }
    server.seen().refuses = false;
    auto client = server.client();
    BOOST_TEST(ask(client, "now?") == "now?");
    BOOST_TEST(server.seen().verified == 2);
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_client_that_has_said_all_still_gets_its_answer, cells, where)
{
    served server(where, [](stream& s) {
        auto const all = hear_all(s);
        s.wfile() << all.size() << '\n';
    });
    auto client = server.client();
    client.send_all(std::string(200'000, 'x'));
    client.shutdown_send();
    BOOST_TEST(hear(client) == "200000");
    BOOST_TEST(hear(client) == the_end);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_handler_may_be_the_first_to_say_all, cells, where)
{
    served server(where, [](stream& s) {
        s.wfile() << "all that I say\n";
        s.shutdown_send();
        std::string line;
        s.read_line(line);
        // Arrives at nobody, but shows in the report that the line came.
        throw std::runtime_error("heard " + line);
    });
    auto client = server.client();
    BOOST_TEST(hear_all(client) == "all that I say\n");
    say(client, "the rest");
    BOOST_REQUIRE(server.seen().error_seen.wait());
    BOOST_TEST(server.seen().last_error.read() == "heard the rest");
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_client_that_goes_away_disturbs_nobody, cells, where)
{
    served server(where, [](stream& s) {
        std::string line;
        s.read_line(line);
        if (line == "flood me")
            for (;;)
                s.send_all(std::string(100'000, 'x'));
        s.wfile() << line << '\n';
    });
    {
        auto client = server.client();
        say(client, "flood me");
        char byte;
        client.read_some(boost::asio::buffer(&byte, 1));
    }
    BOOST_REQUIRE(server.seen().error_seen.wait());
    {
        auto silent = server.client();
    }
    auto client = server.client();
    BOOST_TEST(ask(client, "still there?") == "still there?");
    BOOST_TEST(server.seen().errors == 1);
}

BOOST_DATA_TEST_CASE_F(nothing_left, setup_handle_and_finish_come_in_order, cells, where)
{
    class steps : public stream_request_handler
    {
        void setup() override { wfile() << "setup\n"; }
        void handle() override { wfile() << "handle\n"; }
        void finish() override { wfile() << "finish\n"; }
    };

    served server(where, socketserver::handler<steps>);
    auto client = server.client();
    BOOST_TEST(hear_all(client) == "setup\nhandle\nfinish\n");
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_handler_knows_its_client_and_its_server, cells, where)
{
    class tells : public stream_request_handler
    {
        void handle() override
        {
            wfile() << client_address().str() << '\n' << server().server_address().str() << '\n';
        }
    };

    served server(where, socketserver::handler<tells>);
    auto client = server.client();
    BOOST_TEST(hear(client) == client.local_endpoint().str());
    BOOST_TEST(hear(client) == server.address().str());
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_handler_may_wait_inside_a_catch_block, cells, where)
{
    served server(where, [](stream& s) {
        for (std::string line; s.read_line(line);)
        {
            try
            {
                throw std::runtime_error(line);
            }
            catch (std::exception const& e)
            {
                s.wfile() << "what is wrong with " << e.what() << "?\n";
                s.read_line(line);
                // The one that is being handled is still this request's own.
                s.wfile() << text_of(std::current_exception()) << ": " << line << '\n';
            }
        }
    });
    std::vector<client_stream> clients;
    for (std::size_t i = 0; i < where.strategy.at_once; ++i)
        clients.push_back(server.client());
    for (int round = 0; round < 3; ++round)
    {
        for (std::size_t i = 0; i < clients.size(); ++i)
        {
            auto const name = "client " + std::to_string(i);
            BOOST_TEST(ask(clients[i], name) == "what is wrong with " + name + "?");
        }
        for (std::size_t i = 0; i < clients.size(); ++i)
            BOOST_TEST(ask(clients[i], "all") == "client " + std::to_string(i) + ": all");
    }
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, every_descriptor_is_close_on_exec, beside_threads(cells), where)
{
    auto const before = descriptors_of();
    auto const inherited_by_programs = [&before] {
        std::string names;
        for (auto const& [number, name] : descriptors_of())
            if (!before.contains(number) && !(::fcntl(number, F_GETFD) & FD_CLOEXEC))
                names += name + ' ';
        return names;
    };
    served upstream(cell_of("threading", where.transport), echo);
    served server(where, [&](stream& s) {
        client_stream other(upstream.address());
        std::string line;
        s.read_line(line);
        s.wfile() << inherited_by_programs() << '\n';
        s.read_line(line);
    });
    auto client = server.client();
    BOOST_TEST(ask(client, "which?") == "");
    BOOST_TEST(inherited_by_programs() == "");
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_handler_may_ask_another_server, beside_threads(cells), where)
{
    served upstream(cell_of("threading", where.transport), echo);
    served server(where, [&](stream& s) {
        client_stream other(upstream.address());
        for (std::string line; s.read_line(line);)
            s.wfile() << "upstream says " << ask(other, line) << '\n';
    });
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "upstream says hello");
    BOOST_TEST(ask(client, "again") == "upstream says again");
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_handler_that_waits_for_another_server_keeps_nobody,
    beside_threads(cells_of_several), where)
{
    gate asked;
    std::latch may_answer(1);
    served upstream(cell_of("threading", where.transport), [&](stream& s) {
        std::string line;
        s.read_line(line);
        asked.open();
        may_answer.wait();
        s.wfile() << line << '\n';
    });
    served server(where, [&](stream& s) {
        std::string line;
        s.read_line(line);
        if (line == "upstream")
        {
            client_stream other(upstream.address());
            line = ask(other, line);
        }
        s.wfile() << line << '\n';
    });
    auto patient = server.client();
    say(patient, "upstream");
    BOOST_TEST(asked.wait());
    // Pre-forked workers that serve one at a time: the other one takes these.
    for (int i = 0; i < 3; ++i)
    {
        auto other = server.client();
        BOOST_TEST(ask(other, "me") == "me");
    }
    may_answer.count_down();
    BOOST_TEST(hear(patient) == "upstream");
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_handler_sees_that_another_server_is_not_there, cells, where)
{
    endpoint nowhere;
    {
        served short_lived(cell_of("synchronous", where.transport), echo);
        nowhere = short_lived.address();
    }
    served server(where, [&](stream& s) {
        boost::system::error_code ec;
        socketserver::connect(nowhere, patience, ec);
        s.wfile() << ec.message() << '\n';
    });
    auto client = server.client();
    BOOST_TEST(hear(client) == where.transport.nobody_there().message());
}

BOOST_DATA_TEST_CASE_F(nothing_left, shutdown_of_an_idle_server_returns_at_once, cells, where)
{
    served server(where, echo);
    {
        auto client = server.client();
        BOOST_TEST(ask(client, "hello") == "hello");
    }
    auto const took = duration_of([&] { server.stop(); });
    BOOST_TEST(took < 2s);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_server_may_be_stopped_before_it_serves, cells, where)
{
    shared<observations> seen;
    auto const server = where.transport.make(
        where.strategy.text, *seen, settings(), where.transport.address(), echo);
    server->request_shutdown();
    server->serve_forever(1h);
    BOOST_TEST(seen->verified == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_server_may_serve_again_after_a_shutdown, cells, where)
{
    shared<observations> seen;
    auto const server = where.transport.make(
        where.strategy.text, *seen, settings(), where.transport.address(), echo);
    for (int i = 0; i < 3; ++i)
    {
        std::thread loop([&] { server->serve_forever(1h); });
        {
            client_stream client(server->server_address());
            BOOST_TEST(ask(client, "hello") == "hello");
        }
        server->shutdown();
        loop.join();
    }
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_handler_may_shut_its_server_down, cells, where)
{
    class stops : public stream_request_handler
    {
        void handle() override
        {
            std::string line;
            request().read_line(line);
            if (line == "stop")
                server().shutdown();
            wfile() << "done\n";
        }
    };

    served server(where, socketserver::handler<stops>);
    auto client = server.client();
    BOOST_TEST(ask(client, "stop") == "done");
    BOOST_TEST(hear(client) == the_end);
    // Nobody else asks for it.
    server.join();
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, a_request_in_progress_is_answered_before_the_server_has_gone, cells, where)
{
    shared<gate> begun;
    served server(where, [&](stream& s) {
        begun->open();
        echo(s);
    });
    auto client = server.client();
    BOOST_REQUIRE(begun->wait());
    std::thread closes([&] { server.server().server_close(); });
    BOOST_TEST(ask(client, "one more") == "one more");
    BOOST_TEST(ask(client, "the last") == "the last");
    client.leave();
    closes.join();
    server.end_at_once();
    BOOST_TEST(server.seen().errors == 0);
}
