// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Every strategy over every transport: the times of the server itself, and of connecting.

#define BOOST_TEST_MODULE matrix_server_limits

#include "support/matrix_cells.hpp"
#include "support/matrix_ends.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

using namespace matrix;
using clk = std::chrono::steady_clock;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

inline auto const cells_without_workers =
    cells_where(transports, [](strategy_side const& s) { return !s.preforks(); });

BOOST_DATA_TEST_CASE_F(
    nothing_left, handle_request_waits_no_longer_than_its_timeout, cells_without_workers, where)
{
    observations seen;
    auto const server =
        where.transport.make(where.strategy.text, seen, {}, where.transport.address(), echo);
    server->timeout = limit;
    fires_in_time([&] { return duration_of([&] { server->handle_request(); }); });
    client_stream client(server->server_address());
    say(client, "hello");
    client.shutdown_send();
    server->handle_request();
    BOOST_TEST(hear(client) == "hello");
}

BOOST_DATA_TEST_CASE_F(nothing_left, actions_come_round_every_poll_interval, cells, where)
{
    settings set;
    set.poll_interval = 1ms;
    served server(where, echo, set);
    BOOST_TEST(eventually([&] { return server.seen().actions >= 10; }));
}

BOOST_DATA_TEST_CASE_F(nothing_left, server_close_waits_for_nobody_if_it_is_not_to,
    cells_where(transports, leaves_its_requests), where)
{
    settings set;
    set.block_on_close = false;
    served server(where, echo, set);
    auto client = server.client();
    BOOST_TEST(ask(client, "in") == "in");
    BOOST_TEST(duration_of([&] { server.server().server_close(); }) < patience / 2);
    BOOST_TEST(server.server().fileno() == -1);
    BOOST_TEST(ask(client, "still here") == "still here");
    client.shutdown_send();
    BOOST_TEST(hear(client) == the_end);
    server.end_at_once();
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, connect_waits_no_longer_than_it_may, cells, where)
{
    full_listener const full(where.transport);
    shared<waited> result;
    served server(where, [&](stream&) {
        auto const since = clk::now();
        boost::system::error_code ec;
        socketserver::connect(full.address(), limit, ec);
        result->report(since, ec);
    });
    fires_in_time([&] {
        auto client = server.client();
        auto const took = result->until_timed_out();
        BOOST_TEST(hear(client) == the_end);
        return took;
    });
}

} // namespace
