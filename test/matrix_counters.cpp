// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Every strategy over every transport: what is counted, and what is said of the end.

#define BOOST_TEST_MODULE matrix_counters

#include "support/matrix_cells.hpp"
#include "support/matrix_ends.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

using namespace matrix;
namespace data = boost::unit_test::data;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// Does what it is told.
void obey(stream& s)
{
    for (std::string line; s.read_line(line);)
    {
        if (line == "throw")
            throw std::runtime_error("as told");
        if (line == "kill")
            ::raise(SIGKILL);
        if (line == "wait")
            s.timeout(1ms);
        else
            s.wfile() << line << '\n';
    }
}

bool is_idle(served& server)
{
    return eventually([&] { return server.server().counters().active == 0; });
}

BOOST_DATA_TEST_CASE_F(nothing_left, counts_what_happens, cells, where)
{
    served server(where, obey);
    for (int i = 0; i < 5; ++i)
    {
        auto client = server.client();
        BOOST_TEST(ask(client, "hello") == "hello");
        client.shutdown_send();
        BOOST_TEST(hear(client) == the_end);
        // Who knows that it is over may ask for it.
        BOOST_TEST(server.server().counters().active == 0u);
    }
    auto thrown = server.client();
    BOOST_TEST(ask(thrown, "throw") == the_end);
    auto late = server.client();
    BOOST_TEST(ask(late, "wait") == the_end);
    server.seen().refuses = true;
    auto rejected = server.client();
    BOOST_TEST(hear(rejected) == the_end);
    BOOST_TEST(is_idle(server));

    auto const c = server.server().counters();
    BOOST_TEST(c.accepted == 8u);
    BOOST_TEST(c.peak == 1u);
    BOOST_TEST(c.rejected == 1u);
    BOOST_TEST(c.failed == 1u);
    BOOST_TEST(c.timed_out == 1u);
    BOOST_TEST(c.crashed == 0u);
    BOOST_TEST(c.refused_at_limit == 0u);
    BOOST_TEST(c.bytes_received == 5 * 6u + 6 + 5);
    BOOST_TEST(c.bytes_sent == 5 * 6u);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_process_that_is_killed_is_counted_with_all_it_did,
    cells_where(transports, [](strategy_side const& s) { return !s.own_process; }), where)
{
    served server(where, obey);
    for (int i = 0; i < 2; ++i)
    {
        auto client = server.client();
        BOOST_TEST(ask(client, "hello") == "hello");
        say(client, "kill");
        BOOST_TEST(hear(client) == the_end);
    }
    BOOST_TEST(is_idle(server));
    auto const c = server.server().counters();
    BOOST_TEST(c.accepted == 2u);
    BOOST_TEST(c.crashed == 2u);
    BOOST_TEST(c.bytes_received == 2 * 11u);
    BOOST_TEST(c.bytes_sent == 2 * 6u);
    // Its place is free.
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "hello");
    BOOST_TEST(server.server().counters().active == 1u);
}

char const* const several_in_one_worker[] = {"preforking:1/threading", "preforking:1/thread-pool:4",
    "preforking:1/coroutine", "preforking:1/coroutine:2"};

BOOST_DATA_TEST_CASE_F(nothing_left, all_requests_of_a_worker_die_with_it,
    data::make(transports) * data::make(several_in_one_worker), transport, strategy)
{
    served server(cell_of(strategy, transport), obey);
    std::vector<client_stream> clients;
    for (int i = 0; i < 4; ++i)
    {
        clients.push_back(server.client());
        BOOST_TEST(ask(clients.back(), "hello") == "hello");
    }
    // An answer is counted when it has been sent.
    BOOST_TEST(eventually([&] { return server.server().counters().bytes_sent == 4 * 6u; }));
    say(clients.back(), "kill");
    for (auto& client : clients)
        BOOST_TEST(hear(client) == the_end);
    BOOST_TEST(is_idle(server));
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "hello");

    auto const c = server.server().counters();
    BOOST_TEST(c.accepted == 5u);
    BOOST_TEST(c.active == 1u);
    BOOST_TEST(c.peak == 4u);
    BOOST_TEST(c.crashed == 4u);
    BOOST_TEST(c.bytes_received == 5 * 6u + 5);
}

BOOST_FIXTURE_TEST_CASE(all_children_of_a_worker_die_with_it, nothing_left)
{
    for (auto const& transport : transports)
    {
        served server(cell_of("preforking:1/forking", transport), [](stream& s) {
            for (std::string line; s.read_line(line); say(s, line))
                if (line == "orphan")
                    ::kill(::getppid(), SIGKILL);
        });
        std::vector<client_stream> clients;
        for (int i = 0; i < 4; ++i)
        {
            clients.push_back(server.client());
            BOOST_TEST(ask(clients.back(), "hello") == "hello");
        }
        clients[0].shutdown_send();
        BOOST_TEST(hear(clients[0]) == the_end);
        say(clients[1], "orphan");
        for (auto& client : clients)
            while (hear(client) != the_end)
            {
            }
        BOOST_TEST(is_idle(server));
        auto const c = server.server().counters();
        BOOST_TEST(c.accepted == 4u);
        BOOST_TEST(c.crashed == 3u);
    }
}

BOOST_DATA_TEST_CASE_F(nothing_left, reports_how_its_requests_ended,
    cells_where(transports, hears_while_it_runs), where)
{
    settings set;
    set.abort_timeout = patience;
    served server(where, echo, set);
    auto drained = server.client();
    BOOST_TEST(ask(drained, "in") == "in");
    auto aborted = server.client();
    BOOST_TEST(ask(aborted, "in") == "in");

    drains_one_and_aborts_one(server, where.strategy, [&] {
        drained.shutdown_send();
        BOOST_TEST(hear(drained) == the_end);
    });
    BOOST_TEST(hear(aborted) == the_end);
}

BOOST_DATA_TEST_CASE_F(nothing_left, reports_what_was_killed,
    cells_where(transports, [](strategy_side const& s) { return !s.own_process; }), where)
{
    settings set;
    set.drain_timeout = 1ms;
    set.abort_timeout = 10ms;
    served server(
        where,
        [](stream& s) {
            ::signal(SIGTERM, SIG_IGN);
            try
            {
                say(s, "deaf");
            }
            catch (std::exception const&)
            {
                // It is aborted as soon as the client has heard it.
            }
            for (;;)
                ::pause();
        },
        set);
    auto client = server.client();
    BOOST_TEST(hear(client) == "deaf");
    server.server().end_requests();
    BOOST_TEST(server.server().report().killed == 1u);
    BOOST_TEST(server.server().report().aborted == 0u);
    BOOST_TEST(server.server().counters().crashed == 0u);
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, reports_who_was_left_in_the_queue, data::make(transports), transport)
{
    observations seen;
    auto const server = transport.make("synchronous", seen, {}, transport.address(), echo);
    std::vector<client_stream> waiting;
    for (int i = 0; i < 3; ++i)
        waiting.emplace_back(server->server_address());
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
    for (int i = 0; i < 2; ++i)
    {
        client_stream client(server->server_address());
        say(client, "hello");
        client.shutdown_send();
        server->handle_request();
        BOOST_TEST(hear(client) == "hello");
        BOOST_TEST(hear(client) == the_end);
    }
    server->server_close();
    auto const c = server->counters();
    BOOST_TEST(c.accepted == 2u);
    BOOST_TEST(c.active == 0u);
    BOOST_TEST(c.bytes_sent == 12u);
}

} // namespace
