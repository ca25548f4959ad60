// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Every strategy over every transport of datagrams: what is asked and what is answered.

#define BOOST_TEST_MODULE matrix_datagrams

#include "support/matrix_datagrams.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

using namespace matrix;
using socketserver::datagram_request_handler;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

BOOST_DATA_TEST_CASE_F(nothing_left, answers_from_its_own_address, cells, where)
{
    served server(where, echo);
    auto client = server.client();
    client.send("hello");
    endpoint from;
    BOOST_TEST(client.receive(from) == "hello");
    BOOST_TEST(from.str() == server.address().str());
    BOOST_TEST(ask(client, "again") == "again");
}

BOOST_DATA_TEST_CASE_F(nothing_left, an_empty_datagram_is_asked_and_answered, cells, where)
{
    served server(where, [](datagram& d) {
        if (d.packet() == "")
            d.wfile() << "empty";
        else
            d.send("");
    });
    auto client = server.client();
    BOOST_TEST(ask(client, "") == "empty");
    BOOST_TEST(ask(client, "and now?") == "");
    server.end();
    BOOST_TEST(client.hears_nothing());
}

BOOST_DATA_TEST_CASE_F(nothing_left, the_largest_datagram_comes_and_goes_whole, cells, where)
{
    std::string packet(largest(where.transport), '\0');
    for (std::size_t i = 0; i < packet.size(); ++i)
        packet[i] = static_cast<char>(i * 7 + i / 1000);
    served server(where, echo);
    auto client = server.client();
    BOOST_TEST((ask(client, packet) == packet));
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, says_what_was_cut_off, cells, where)
{
    settings set;
    set.max_packet_size = 5;
    served server(
        where, [](datagram& d) { d.wfile() << d.packet() << (d.truncated() ? " ..." : "."); }, set);
    auto client = server.client();
    BOOST_TEST(ask(client, "12345") == "12345.");
    BOOST_TEST(ask(client, "123456") == "12345 ...");
    BOOST_TEST(ask(client, std::string(9000, '7')) == "77777 ...");
    BOOST_TEST(ask(client, "1") == "1.");
}

BOOST_DATA_TEST_CASE_F(nothing_left, where_nothing_is_written_nothing_is_sent, cells, where)
{
    shared<gate> handled;
    served server(where, [&](datagram& d) {
        if (d.packet() == "speak")
            d.wfile() << "spoken";
        else
            handled->open();
    });
    auto client = server.client();
    client.send("be silent");
    BOOST_REQUIRE(handled->wait());
    BOOST_TEST(ask(client, "speak") == "spoken");
    // Its handlers have ended.
    server.end();
    BOOST_TEST(client.hears_nothing());
}

BOOST_DATA_TEST_CASE_F(nothing_left, one_handler_may_send_several, cells, where)
{
    served server(where, [](datagram& d) {
        d.wfile() << "and ";
        d.send("first");
        d.send_to(d.sender(), "second");
        d.wfile() << "last";
    });
    auto client = server.client();
    BOOST_TEST(ask(client, "how many?") == "first");
    BOOST_TEST(client.receive() == "second");
    BOOST_TEST(client.receive() == "and last");
    server.end();
    BOOST_TEST(client.hears_nothing());
}

BOOST_DATA_TEST_CASE_F(nothing_left, an_exception_ends_its_datagram_alone, cells, where)
{
    served server(where, [](datagram& d) {
        if (d.packet() == "int")
            throw 42;
        if (d.packet() == "error")
            throw std::runtime_error("the handler failed");
        d.wfile() << "the answer";
        if (d.packet() == "after an answer")
            throw std::runtime_error("too late");
    });
    auto client = server.client();
    auto const fails = [&](char const* how, char const* report) {
        client.send(how);
        BOOST_REQUIRE(server.seen().error_seen.wait());
        BOOST_TEST(server.seen().last_error.read() == report);
    };
    fails("int", "42");
    fails("error", "the handler failed");
    BOOST_TEST(client.hears_nothing());
    fails("after an answer", "too late");
    BOOST_TEST(client.receive() == "the answer");
    BOOST_TEST(ask(client, "still there?") == "the answer");
    BOOST_TEST(server.seen().errors == 3);
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, a_handler_that_cannot_be_made_ends_its_datagram_alone, cells, where)
{
    class unmade : public datagram_request_handler
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
    auto client = server.client();
    client.send("lost");
    BOOST_REQUIRE(server.seen().error_seen.wait());
    BOOST_TEST(server.seen().last_error.read() == "not the first time");
    BOOST_TEST(ask(client, "and now?") == "and now?");
}

BOOST_DATA_TEST_CASE_F(nothing_left, an_answer_that_is_too_long_is_an_error, cells, where)
{
    // More than any Unix socket takes.
    std::string const too_long(where.transport.is_unix() ? 10'000'000 : 65'508, 'x');
    served server(where, [&](datagram& d) {
        if (d.packet() == "at once")
            d.send(too_long);
        else if (d.packet() == "at the end")
            d.wfile() << too_long;
        else
            echo(d);
    });
    auto client = server.client();
    for (auto const* const when : {"at once", "at the end"})
    {
        client.send(when);
        BOOST_REQUIRE(server.seen().error_seen.wait());
        BOOST_TEST(server.seen().last_error.read() ==
                   make_error_code(boost::asio::error::message_size).message());
    }
    BOOST_TEST(ask(client, "shorter") == "shorter");
    BOOST_TEST(server.seen().errors == 2);
}

BOOST_DATA_TEST_CASE_F(nothing_left, gives_each_of_a_crowd_its_own_answer, cells, where)
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
        crowd.push_back(std::make_unique<process>([&all, i] {
            if (!all->begin.wait())
                return;
            datagram_peer client(all->server.read());
            for (int j = 0; j < 10; ++j)
            {
                auto const question = std::to_string(i * 10 + j);
                if (ask(client, question) == question)
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

BOOST_DATA_TEST_CASE_F(nothing_left, does_not_handle_what_it_does_not_verify, cells, where)
{
    shared<std::atomic<int>> handled(0);
    served server(where, [&](datagram& d) {
        ++*handled;
        echo(d);
    });
    auto client = server.client();
    server.seen().refuses = true;
    client.send("let me in");
    BOOST_REQUIRE(eventually([&] { return server.seen().verified == 1; }));
    server.seen().refuses = false;
    BOOST_TEST(ask(client, "now?") == "now?");
    server.end();
    BOOST_TEST(*handled == 1);
    BOOST_TEST(client.hears_nothing());
}

BOOST_DATA_TEST_CASE_F(nothing_left, verifies_by_what_the_kernel_vouches_for, unix_cells, where)
{
    struct told
    {
        gate begin;
        note server;
        gate sent;
    };
    shared<told> all;
    process stranger([&] {
        if (!all->begin.wait())
            return;
        datagram_peer client(all->server.read());
        client.send("a stranger");
        all->sent.open();
        client.receive();
    });
    shared<note> last;
    shared<std::atomic<int>> handled(0);
    served server(where, [&](datagram& d) {
        ++*handled;
        last->write(d.packet());
        echo(d);
    });
    server.seen().only_from = ::getpid();
    all->server.write(server.address().str());
    all->begin.open();
    BOOST_REQUIRE(all->sent.wait());
    auto client = server.client();
    BOOST_TEST(ask(client, "one of us") == "one of us");
    BOOST_TEST(eventually([&] { return server.seen().verified == 2; }));
    server.end();
    BOOST_TEST(*handled == 1);
    BOOST_TEST(last->read() == "one of us");
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_handler_knows_its_client_and_its_server, cells, where)
{
    class tells : public datagram_request_handler
    {
        void handle() override
        {
            wfile() << client_address().str() << ' ' << server().server_address().str();
        }
    };

    served server(where, socketserver::handler<tells>);
    auto client = server.client();
    auto const answer = ask(client, "who?");
    // By now it has a port.
    auto name = client.name();
    if (!where.transport.is_unix())
        name = some_port().with_port(name.port());
    BOOST_TEST(answer == name.str() + ' ' + server.address().str());
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, a_sender_without_a_name_is_heard_and_not_answered, unix_cells, where)
{
    shared<gate> heard;
    shared<note> from;
    served server(where, [&](datagram& d) {
        if (d.packet() == "who am I?")
        {
            from->write(d.sender() == endpoint() ? "nobody" : d.sender().str());
            d.send("you hear this not");
            heard->open();
        }
        echo(d);
    });
    auto unnamed = datagram_peer::unnamed(server.address());
    unnamed.send("who am I?");
    BOOST_REQUIRE(heard->wait());
    BOOST_TEST(from->read() == "nobody");
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "hello");
    server.end();
    BOOST_TEST(unnamed.hears_nothing());
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_client_that_has_gone_disturbs_nobody, cells, where)
{
    struct told
    {
        gate begin;
        note server;
    };
    shared<told> all;
    // A process that is there before the server: no child of the server has its socket.
    process gone([&] {
        if (all->begin.wait())
            datagram_peer(all->server.read()).send("gone");
    });
    desk holds;
    served server(where, holds.holds());
    all->server.write(server.address().str());
    all->begin.open();
    auto const waits = holds.next();
    BOOST_REQUIRE_EQUAL(gone.wait(), 0);
    holds.answer(waits);
    // Over UDP nobody says so.
    if (where.transport.is_unix())
    {
        BOOST_REQUIRE(server.seen().error_seen.wait());
        BOOST_TEST(server.seen().last_error.read() ==
                   make_error_code(boost::asio::error::connection_reset).message());
    }
    for (int i = 0; i < 3; ++i)
    {
        auto client = server.client();
        client.send("still there?");
        holds.answer(holds.next());
        BOOST_TEST(client.receive() == "still there?");
    }
    BOOST_TEST(server.seen().errors == int(where.transport.is_unix()));
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_handler_that_waits_keeps_nobody, cells_of_several, where)
{
    desk asked;
    served server(where, [&](datagram& d) {
        if (d.packet() == "wait")
            asked.ask("");
        echo(d);
    });
    auto patient = server.client();
    auto other = server.client();
    patient.send("wait");
    auto const waits = asked.next();
    for (int i = 0; i < 3; ++i)
        BOOST_TEST(ask(other, "me") == "me");
    BOOST_TEST(patient.hears_nothing());
    asked.answer(waits);
    BOOST_TEST(patient.receive() == "wait");
}

BOOST_DATA_TEST_CASE_F(nothing_left, takes_one_datagram_when_told_to, cells, where)
{
    shared<observations> seen;
    auto const server = where.transport.make(
        where.strategy.text, *seen, settings(), where.transport.address(), echo);
    if (where.strategy.preforks())
    {
        // Its workers take them.
        BOOST_CHECK_THROW(server->handle_request(), std::logic_error);
        return;
    }
    datagram_peer client(server->server_address());
    for (auto const* const question : {"one", "two", "three"})
    {
        client.send(question);
        pollfd readable{server->fileno(), POLLIN, 0};
        BOOST_REQUIRE_EQUAL(::poll(&readable, 1, int(patience / 1ms)), 1);
        server->handle_request();
        BOOST_TEST(client.receive() == question);
    }
    BOOST_TEST(seen->verified == 3);
    server->timeout = 1ms;
    server->handle_request();
    BOOST_TEST(seen->verified == 3);
}
