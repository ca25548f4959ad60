// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Every strategy over every transport of datagrams: limits of time and number, aborting, what is
// killed, and the way down.

#define BOOST_TEST_MODULE matrix_datagrams_limits

#include "support/matrix_datagrams.hpp"
#include "support/matrix_ends.hpp"
#include "support/matrix_limited.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <csignal>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace matrix;
namespace data = boost::unit_test::data;
using clk = std::chrono::steady_clock;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

BOOST_DATA_TEST_CASE_F(nothing_left, a_handlers_limit_ends_a_wait_for_room, unix_cells, where)
{
    shared<waited> result;
    served server(where, under<datagram>({.timeout = limit}, [&](datagram& d) {
        auto const since = clk::now();
        boost::system::error_code ec;
        d.send("no room for this", ec);
        result->report(since, ec);
    }));
    auto client = server.client();
    support::fill(client.name());
    fires_in_time([&] {
        client.send("answer me");
        return result->until_timed_out();
    });
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, an_answer_for_which_there_is_no_room_is_an_error, unix_cells, where)
{
    served server(where, under<datagram>({.timeout = 1ms}, echo));
    auto full = server.client();
    support::fill(full.name());
    full.send("no room for this");
    BOOST_REQUIRE(server.seen().error_seen.wait());
    BOOST_TEST(server.seen().last_error.read() == timed_out);
    auto client = server.client();
    BOOST_TEST(ask(client, "and for me?") == "and for me?");
    BOOST_TEST(server.seen().errors == 1);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_limit_bounds_a_question_to_another_server, cells, where)
{
    shared<waited> result;
    desk never_answers;
    served server(where, [&](datagram& d) {
        socketserver::datagram_client other(never_answers.address());
        other.timeout(limit);
        other.send(d.packet());
        auto const since = clk::now();
        boost::system::error_code ec;
        other.receive(ec);
        result->report(since, ec);
        d.wfile() << "no answer";
    });
    auto client = server.client();
    fires_in_time([&] {
        BOOST_TEST(ask(client, "any?") == "no answer");
        return result->until_timed_out();
    });
}

BOOST_DATA_TEST_CASE_F(nothing_left, the_datagram_beyond_the_limit_waits_and_is_answered,
    data::make(transports) * data::make(at_the_limit), transport, strategy)
{
    desk holds;
    served server(cell_of(strategy.text, transport), holds.holds(), of_two_coroutines());
    std::size_t const all = strategy.runs + strategy.queues + 3;
    std::vector<datagram_peer> clients;
    for (std::size_t i = 0; i < all; ++i)
        clients.push_back(server.client());
    std::vector<desk::visitor> inside;
    for (std::size_t i = 0; i < strategy.runs; ++i)
    {
        clients[i].send(std::to_string(i));
        inside.push_back(holds.next());
        BOOST_TEST(inside.back().question == std::to_string(i));
    }
    for (std::size_t i = strategy.runs; i < all; ++i)
        clients[i].send(std::to_string(i));
    BOOST_TEST(holds.is_silent());
    BOOST_TEST(server.seen().verified <= int(strategy.runs + strategy.queues));

    for (std::size_t i = strategy.runs; i < all; ++i)
    {
        holds.answer(inside.front());
        inside.erase(inside.begin());
        inside.push_back(holds.next());
    }
    for (auto const& last : inside)
        holds.answer(last);
    for (std::size_t i = 0; i < all; ++i)
        BOOST_TEST(clients[i].receive() == std::to_string(i));
    BOOST_TEST(server.seen().verified == int(all));
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, a_datagram_in_progress_is_answered_after_a_shutdown, cells, where)
{
    desk holds;
    served server(where, holds.holds());
    auto client = server.client();
    client.send("a question");
    auto const waits = holds.next();
    server.server().request_shutdown();
    if (leaves_its_requests(where.strategy))
        server.join();
    BOOST_TEST(client.hears_nothing());
    holds.answer(waits);
    BOOST_TEST(client.receive() == "a question");
    server.end();
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, server_close_waits_for_the_answers, cells, where)
{
    desk holds;
    served server(where, holds.holds());
    auto client = server.client();
    client.send("a question");
    auto const waits = holds.next();
    std::atomic<bool> closed{false};
    std::thread closes([&] {
        server.server().server_close();
        closed = true;
    });
    if (leaves_its_requests(where.strategy))
        server.join();
    BOOST_TEST(holds.is_silent());
    BOOST_TEST(!closed);
    holds.answer(waits);
    BOOST_TEST(client.receive() == "a question");
    closes.join();
    BOOST_TEST(server.server().fileno() == -1);
    server.end_at_once();
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, a_datagram_in_progress_is_answered_after_the_server_was_closed, cells, where)
{
    settings set;
    set.block_on_close = false;
    desk holds;
    served server(where, holds.holds(), set);
    auto client = server.client();
    client.send("a question");
    auto const waits = holds.next();
    std::thread closes([&] { server.server().server_close(); });
    if (leaves_its_requests(where.strategy))
    {
        closes.join();
        BOOST_TEST(server.server().fileno() == -1);
    }
    holds.answer(waits);
    BOOST_TEST(client.receive() == "a question");
    if (closes.joinable())
        closes.join();
    server.end_at_once();
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_closed_server_receives_no_more, cells, where)
{
    served server(where, echo);
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "hello");
    server.server().server_close();
    // Its address is free.
    auto const next = where.transport.make("synchronous", server.seen(), settings(),
        server.address(), [](datagram& d) { d.wfile() << "the next one"; });
    client.send("who?");
    next->handle_request();
    BOOST_TEST(client.receive() == "the next one");
    BOOST_CHECK_THROW(server.server().serve_forever(), std::logic_error);
}

BOOST_DATA_TEST_CASE_F(nothing_left, an_abort_wakes_a_send_that_waits_for_room,
    cells_where(unix_transports, can_be_aborted), where)
{
    shared<interrupted> handler;
    served server(where, [&](datagram& d) {
        // There is none.
        d.timeout(1ms);
        boost::system::error_code ec;
        d.send("", ec);
        if (ec != boost::asio::error::timed_out)
            return;
        d.timeout({});
        handler->watch([&] { d.send("no room for this"); });
    });
    auto client = server.client();
    support::fill(client.name());
    client.send("answer me");
    aborts(server, *handler);
}

BOOST_DATA_TEST_CASE_F(nothing_left, an_abort_wakes_a_question_to_another_server,
    cells_where(transports, can_be_aborted), where)
{
    shared<interrupted> handler;
    desk never_answers;
    served server(where, [&](datagram&) {
        socketserver::datagram_client other(never_answers.address());
        other.send("any?");
        handler->watch([&] { other.receive(); });
    });
    auto client = server.client();
    client.send("hello");
    never_answers.next();
    aborts(server, *handler);
}

BOOST_DATA_TEST_CASE_F(nothing_left, server_close_waits_no_longer_than_the_drain_timeout,
    cells_where(transports, can_be_aborted), where)
{
    settings set;
    set.drain_timeout = 200ms;
    shared<interrupted> handler;
    desk never_answers;
    served server(
        where,
        [&](datagram&) {
            socketserver::datagram_client other(never_answers.address());
            handler->watch([&] { other.receive(); });
        },
        set);
    auto client = server.client();
    client.send("a question");
    closes_in_time(server, *handler);
    BOOST_TEST(client.hears_nothing());
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_handler_that_ignores_all_errors_does_not_outlive_its_abort,
    cells_where(transports, can_be_aborted), where)
{
    desk never_answers;
    outlives_no_abort(where.strategy, [&](settings const& set, endless& handler) {
        served server(
            where,
            [&](datagram&) {
                handler.begin();
                socketserver::datagram_client other(never_answers.address());
                for (boost::system::error_code ignored;;)
                    other.receive(ignored);
            },
            set);
        auto client = server.client();
        client.send("a question");
        handler.begun.wait();
        server.end_at_once();
    });
}

char const* const in_children[] = {"forking:1", "preforking:1/forking:1"};

BOOST_DATA_TEST_CASE_F(nothing_left, the_place_of_a_killed_child_is_free,
    data::make(transports) * data::make(in_children), transport, strategy)
{
    served server(cell_of(strategy, transport), [](datagram& d) {
        if (d.packet() == "die")
            die_by(SIGKILL);
        echo(d);
    });
    auto client = server.client();
    for (int i = 0; i < 3; ++i)
    {
        client.send("die");
        BOOST_TEST(ask(client, "still there?") == "still there?");
    }
    server.end();
    BOOST_TEST(client.hears_nothing());
}

char const* const in_one_worker[] = {"preforking:1", "preforking:1/threading",
    "preforking:1/thread-pool:2", "preforking:1/forking", "preforking:1/coroutine"};

BOOST_DATA_TEST_CASE_F(nothing_left, a_killed_worker_is_replaced_and_loses_nothing_that_waits,
    data::make(transports) * data::make(in_one_worker), transport, strategy)
{
    bool const in_children_of_workers = std::string_view(strategy).ends_with("/forking");
    served server(cell_of(strategy, transport),
        [&](datagram& d) { d.wfile() << (in_children_of_workers ? ::getppid() : ::getpid()); });
    auto client = server.client();
    auto worker = std::stoi(ask(client, "who?"));
    for (int i = 0; i < 2; ++i)
    {
        BOOST_REQUIRE_EQUAL(::kill(worker, SIGKILL), 0);
        // Nobody may be there to take it yet.
        auto const next = std::stoi(ask(client, "who?"));
        BOOST_TEST(next != worker);
        worker = next;
    }
    BOOST_TEST(server.seen().forked == 3u);
}
