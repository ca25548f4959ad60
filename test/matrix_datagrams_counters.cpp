// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Every strategy over every transport of datagrams: what is counted, and what is said of the end.

#define BOOST_TEST_MODULE matrix_datagrams_counters

#include "support/matrix_datagrams.hpp"
#include "support/matrix_ends.hpp"
#include "support/matrix_limited.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <unistd.h>

using namespace matrix;
namespace data = boost::unit_test::data;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// Does what it is told.
void obey(datagram& d)
{
    if (d.packet() == "throw")
        throw std::runtime_error("as told");
    if (d.packet() == "kill")
        die_by(SIGKILL);
    echo(d);
}

bool has_counted(served& server, std::uint64_t accepted)
{
    return eventually([&] {
        auto const c = server.server().counters();
        return c.accepted == accepted && c.active == 0;
    });
}

BOOST_DATA_TEST_CASE_F(nothing_left, counts_what_happens, cells, where)
{
    served server(where, obey);
    auto client = server.client();
    for (int i = 0; i < 5; ++i)
        BOOST_TEST(ask(client, "hello") == "hello");
    client.send("throw");
    BOOST_TEST(server.seen().error_seen.wait());
    BOOST_TEST(has_counted(server, 6));
    server.seen().refuses = true;
    client.send("not for you");
    BOOST_TEST(has_counted(server, 7));

    auto const c = server.server().counters();
    BOOST_TEST(c.peak >= 1u);
    BOOST_TEST(c.rejected == 1u);
    BOOST_TEST(c.failed == 1u);
    BOOST_TEST(c.timed_out == 0u);
    BOOST_TEST(c.crashed == 0u);
    BOOST_TEST(c.refused_at_limit == 0u);
    BOOST_TEST(c.refused_per_client == 0u);
    BOOST_TEST(c.bytes_received == 5 * 5u + 5 + 11);
    BOOST_TEST(c.bytes_sent == 5 * 5u);
    BOOST_TEST(client.hears_nothing());
}

BOOST_DATA_TEST_CASE_F(nothing_left, counts_an_answer_that_a_limit_ended, unix_cells, where)
{
    served server(
        where, under<datagram>({.timeout = 1ms}, [](datagram& d) { d.send("no room for this"); }));
    auto client = server.client();
    support::fill(client.name());
    client.send("answer me");
    BOOST_TEST(has_counted(server, 1));
    BOOST_TEST(server.server().counters().timed_out == 1u);
    BOOST_TEST(server.server().counters().failed == 0u);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_process_that_is_killed_is_counted_with_all_it_did,
    cells_where(transports, [](strategy_side const& s) { return !s.own_process; }), where)
{
    served server(where, obey);
    auto client = server.client();
    for (unsigned i = 1; i <= 2; ++i)
    {
        BOOST_TEST(ask(client, "hello") == "hello");
        // An answer is counted when it has been sent.
        BOOST_TEST(has_counted(server, 2 * i - 1));
        client.send("kill");
        BOOST_TEST(has_counted(server, 2 * i));
        BOOST_TEST(eventually([&] { return server.server().counters().crashed == i; }));
    }
    auto const c = server.server().counters();
    BOOST_TEST(c.bytes_received == 2 * 9u);
    BOOST_TEST(c.bytes_sent == 2 * 5u);
    BOOST_TEST(ask(client, "hello") == "hello");
}

BOOST_DATA_TEST_CASE_F(nothing_left, reports_how_its_requests_ended,
    cells_where(transports, hears_while_it_runs), where)
{
    desk holds;
    served server(where, holds.holds());
    auto client = server.client();
    client.send("is answered");
    auto const drained = holds.next();
    client.send("is not");
    holds.next();

    drains_one_and_aborts_one(server, where.strategy, [&] {
        holds.answer(drained);
        BOOST_TEST(client.receive() == "is answered");
    });
    BOOST_TEST(client.hears_nothing());
}

BOOST_DATA_TEST_CASE_F(nothing_left, reports_what_was_killed,
    cells_where(
        transports, [](strategy_side const& s) { return std::string(s.text) == "forking"; }),
    where)
{
    settings set;
    set.drain_timeout = 1ms;
    set.abort_timeout = 10ms;
    served server(
        where,
        [](datagram& d) {
            ::signal(SIGTERM, SIG_IGN);
            d.send("deaf");
            for (;;)
                ::pause();
        },
        set);
    auto client = server.client();
    BOOST_TEST(ask(client, "are you?") == "deaf");
    server.server().end_requests();
    BOOST_TEST(server.server().report().killed == 1u);
    BOOST_TEST(server.server().counters().crashed == 0u);
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, reports_what_was_left_in_the_queue, data::make(transports), transport)
{
    observations seen;
    auto const server = transport.make("synchronous", seen, {}, transport.address(), echo);
    datagram_peer client(server->server_address());
    for (int i = 0; i < 3; ++i)
        client.send("too late");
    server->end_requests();
    BOOST_TEST(server->report().left_in_queue == 3u);
    BOOST_TEST(server->counters().accepted == 0u);
}

BOOST_DATA_TEST_CASE_F(nothing_left, counts_requests_that_the_program_takes_itself, cells, where)
{
    if (where.strategy.preforks())
        return;
    observations seen;
    auto const server =
        where.transport.make(where.strategy.text, seen, {}, where.transport.address(), obey);
    datagram_peer client(server->server_address());
    for (int i = 0; i < 2; ++i)
    {
        client.send("hello");
        server->handle_request();
        BOOST_TEST(client.receive() == "hello");
    }
    server->server_close();
    auto const c = server->counters();
    BOOST_TEST(c.accepted == 2u);
    BOOST_TEST(c.active == 0u);
    BOOST_TEST(c.bytes_sent == 10u);
}

} // namespace
