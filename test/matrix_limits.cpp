// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Every strategy over every transport: limits of time and number, aborting, and the way down.
//
// Which limit is held where (streams; datagrams), matrix_ left out:
//
//   N of a strategy          limits, admission; datagrams_limits, datagrams_admission
//   max_active, when_full    admission; datagrams_admission
//   max_active_per_client    admission; datagrams_admission
//   what is refused          admission, counters; datagrams_admission, datagrams_counters
//   timeout of a handler     limits; datagrams_limits
//   deadline                 limits; a datagram is all there
//   drain_timeout            limits; datagrams_limits
//   abort_timeout            limits, counters; datagrams_limits, datagrams_counters
//   block_on_close           server_limits; datagrams_limits
//   timeout of a server      server_limits; datagrams
//   poll_interval            server_limits
//   connect, other servers   limits, server_limits; datagrams_limits
//   request_queue_size       server_limits; -
//   max_packet_size          -; datagrams
//
// and of one strategy alone, in strategy/:
//
//   max_queue                thread_pool_mixin
//   stack_size               worker_threads, coroutine_stacks
//   max_run                  coroutine_services
//   max_requests             preforking_replacement
//   respawning               worker_supervisor

#define BOOST_TEST_MODULE matrix_limits

#include "support/matrix_cells.hpp"
#include "support/matrix_ends.hpp"
#include "support/matrix_limited.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

using namespace matrix;
namespace data = boost::unit_test::data;
using clk = std::chrono::steady_clock;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

std::string const a_lot(std::size_t(64) << 20, 'x');

BOOST_DATA_TEST_CASE_F(nothing_left, the_idle_limit_ends_a_read, cells, where)
{
    shared<waited> result;
    served server(where, under<stream>({.timeout = limit}, [&](stream& s) {
        char byte;
        s.read_some(boost::asio::buffer(&byte, 1));
        auto const since = clk::now();
        boost::system::error_code ec;
        s.read_some(boost::asio::buffer(&byte, 1), ec);
        result->report(since, ec);
    }));
    fires_in_time([&] {
        auto client = server.client();
        client.send_all("x");
        auto const took = result->until_timed_out();
        BOOST_TEST(hear(client) == the_end);
        return took;
    });
}

BOOST_DATA_TEST_CASE_F(nothing_left, the_idle_limit_ends_a_write, cells, where)
{
    shared<waited> result;
    served server(where, under<stream>({.timeout = limit}, [&](stream& s) {
        boost::system::error_code ec;
        clk::time_point since;
        while (!ec)
        {
            since = clk::now();
            s.write_some(boost::asio::buffer(a_lot, 65536), ec);
        }
        result->report(since, ec);
    }));
    fires_in_time([&] {
        auto client = server.client();
        return result->until_timed_out();
    });
}

BOOST_DATA_TEST_CASE_F(nothing_left, the_deadline_ends_a_busy_conversation, cells, where)
{
    shared<waited> result;
    served server(where, under<stream>({.timeout = patience, .deadline = limit}, [&](stream& s) {
        auto const since = clk::now();
        boost::system::error_code ec;
        for (char byte; !ec;)
        {
            s.read_some(boost::asio::buffer(&byte, 1), ec);
            if (!ec)
                s.write_some(boost::asio::buffer(&byte, 1), ec);
        }
        result->report(since, ec);
    }));
    fires_in_time([&] {
        auto client = server.client();
        boost::system::error_code ec;
        for (char byte = 'x'; !ec;)
        {
            client.write_some(boost::asio::buffer(&byte, 1), ec);
            if (!ec)
                client.read_some(boost::asio::buffer(&byte, 1), ec);
        }
        return result->until_timed_out();
    });
}

BOOST_DATA_TEST_CASE_F(nothing_left, the_deadline_ends_a_silent_conversation, cells, where)
{
    shared<waited> result;
    served server(where, under<stream>({.deadline = limit}, [&](stream& s) {
        auto const since = clk::now();
        boost::system::error_code ec;
        char byte;
        s.read_some(boost::asio::buffer(&byte, 1), ec);
        result->report(since, ec);
    }));
    fires_in_time([&] {
        auto client = server.client();
        return result->until_timed_out();
    });
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, a_limit_bounds_the_other_side_of_a_proxy_too, beside_threads(cells), where)
{
    shared<waited> result;
    // Never answers.
    served upstream(cell_of("threading", where.transport), [](stream& s) { hear_all(s); });
    served server(where, [&](stream& s) {
        auto other = socketserver::connect(upstream.address(), patience);
        other.timeout(limit);
        auto const since = clk::now();
        boost::system::error_code ec;
        char byte;
        other.read_some(boost::asio::buffer(&byte, 1), ec);
        result->report(since, ec);
        other.abort();
        s.wfile() << "no answer\n";
    });
    fires_in_time([&] {
        auto client = server.client();
        BOOST_TEST(hear(client) == "no answer");
        return result->until_timed_out();
    });
}

BOOST_DATA_TEST_CASE_F(nothing_left, the_client_beyond_the_limit_waits_and_is_served,
    data::make(transports) * data::make(at_the_limit), transport, strategy)
{
    served server(cell_of(strategy.text, transport), echo, of_two_coroutines());
    auto inside = clients_inside(server, strategy.runs);
    std::vector<client_stream> outside;
    for (std::size_t i = 0; i < strategy.queues + 3; ++i)
    {
        outside.push_back(server.client());
        say(outside.back(), std::to_string(i));
    }
    BOOST_TEST(is_silent(outside.front()));
    BOOST_TEST(server.seen().verified <= int(strategy.runs + strategy.queues));

    for (std::size_t i = 0; i < outside.size(); ++i)
    {
        inside.front().leave();
        inside.erase(inside.begin());
        BOOST_TEST(hear(outside[i]) == std::to_string(i));
        inside.push_back(std::move(outside[i]));
    }
    BOOST_TEST(server.seen().verified == int(strategy.runs + strategy.queues + 3));
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_server_at_its_limit_still_stops_at_once,
    data::make(transports) * data::make(at_the_limit), transport, strategy)
{
    // A synchronous server cannot but wait for its request.
    if (std::string(strategy.text) == "synchronous")
        return;
    served server(cell_of(strategy.text, transport), echo, of_two_coroutines());
    auto clients = clients_inside(server, strategy.runs);
    clients.push_back(server.client());
    BOOST_TEST(is_silent(clients.back()));
    BOOST_TEST(duration_of([&] { server.server().shutdown(); }) < 2s);
    clients.clear();
}

BOOST_DATA_TEST_CASE_F(nothing_left, an_abort_wakes_a_read, cells_to_abort, where)
{
    shared<interrupted> handler;
    served server(where, [&](stream& s) {
        handler->watch([&] {
            char byte;
            s.read_some(boost::asio::buffer(&byte, 1));
        });
    });
    auto client = server.client();
    aborts(server, *handler);
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, an_abort_wakes_a_read_of_the_standard_stream, cells_to_abort, where)
{
    shared<interrupted> handler;
    served server(where, [&](stream& s) {
        s.wfile() << "hello\n";
        handler->watch([&] { s.rfile().get(); });
    });
    auto client = server.client();
    BOOST_TEST(hear(client) == "hello");
    aborts(server, *handler);
}

BOOST_DATA_TEST_CASE_F(nothing_left, an_abort_wakes_a_write, cells_to_abort, where)
{
    shared<interrupted> handler;
    served server(where, [&](stream& s) { handler->watch([&] { s.send_all(a_lot); }); });
    auto client = server.client();
    // The first bytes are there, and the last ones cannot go before they are read.
    char byte;
    client.read_some(boost::asio::buffer(&byte, 1));
    aborts(server, *handler);
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, an_abort_wakes_a_read_from_another_server, beside_threads(cells_to_abort), where)
{
    shared<interrupted> handler;
    served upstream(cell_of("threading", where.transport), [](stream& s) { hear_all(s); });
    served server(where, [&](stream&) {
        auto other = socketserver::connect(upstream.address());
        handler->watch([&] {
            char byte;
            other.read_some(boost::asio::buffer(&byte, 1));
        });
        other.abort();
    });
    auto client = server.client();
    aborts(server, *handler);
}

BOOST_DATA_TEST_CASE_F(nothing_left, an_abort_wakes_a_connect, cells_to_abort, where)
{
    full_listener const full(where.transport);
    shared<interrupted> handler;
    served server(
        where, [&](stream&) { handler->watch([&] { socketserver::connect(full.address()); }); });
    auto client = server.client();
    BOOST_REQUIRE(handler->begun.wait());
    BOOST_REQUIRE(!handler->ended.wait(0s));
    handler->begun.open();
    aborts(server, *handler);
}

BOOST_DATA_TEST_CASE_F(nothing_left, server_close_with_an_idle_client_ends_within_the_drain_timeout,
    cells_to_abort, where)
{
    settings set;
    set.drain_timeout = 200ms;
    shared<interrupted> handler;
    served server(
        where, [&](stream& s) { handler->watch([&] { s.rfile().get(); }); }, set);
    auto client = server.client();
    closes_in_time(server, *handler);
    BOOST_TEST(hear(client) == the_end);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_closed_server_listens_no_more, cells, where)
{
    served server(where, echo);
    {
        auto client = server.client();
        BOOST_TEST(ask(client, "hello") == "hello");
    }
    server.server().server_close();
    BOOST_CHECK_EXCEPTION(server.client(), boost::system::system_error,
        [&](auto const& e) { return e.code() == where.transport.nobody_there(); });
    BOOST_CHECK_THROW(server.server().serve_forever(), std::logic_error);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_handler_may_close_its_server, cells, where)
{
    // In another process there is nothing that it could close.
    if (!where.strategy.own_process)
        return;

    class closes : public socketserver::stream_request_handler
    {
        void handle() override
        {
            server().server_close();
            wfile() << "done\n";
        }
    };

    served server(where, socketserver::handler<closes>);
    auto client = server.client();
    BOOST_TEST(hear(client) == "done");
    BOOST_TEST(hear(client) == the_end);
    server.join();
}

// Tries again whatever happens.
void read_whatever_happens(stream& s, long times)
{
    for (long i = 0; i < times; ++i)
        try
        {
            char byte;
            s.read_some(boost::asio::buffer(&byte, 1));
        }
        catch (...)
        {
        }
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, a_handler_that_ignores_some_errors_ends_with_its_abort, cells_to_abort, where)
{
    shared<gate> begun;
    served server(where, [&](stream& s) {
        begun->open();
        read_whatever_happens(s, 2000);
    });
    auto client = server.client();
    BOOST_REQUIRE(begun->wait());
    server.server().request_abort();
    BOOST_TEST(duration_of([&] { server.end_at_once(); }) < patience / 2);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_handler_that_ignores_all_errors_does_not_outlive_its_abort,
    cells_to_abort, where)
{
    outlives_no_abort(where.strategy, [&](settings const& set, endless& handler) {
        served server(
            where,
            [&](stream& s) {
                handler.begin();
                read_whatever_happens(s, 1L << 62);
            },
            set);
        auto client = server.client();
        handler.begun.wait();
        server.end_at_once();
    });
}

} // namespace
