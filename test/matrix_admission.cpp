// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Every strategy over every transport: how many requests at once, and what happens to the next.

#define BOOST_TEST_MODULE matrix_admission

#include "support/client.hpp"
#include "support/matrix_cells.hpp"
#include "support/names.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace matrix;
using socketserver::at_limit;
using support::client_from;
namespace data = boost::unit_test::data;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

BOOST_DATA_TEST_CASE_F(nothing_left, one_beyond_what_the_server_may_have_waits,
    cells_where(transports, runs_several), where)
{
    served server(where, echo, two_at_once(at_limit::defer));
    auto inside = clients_inside(server, 2);
    BOOST_TEST(server.server().counters().active == 2u);
    auto outside = server.client();
    say(outside, "next");
    BOOST_TEST(is_silent(outside));
    inside.front().leave();
    BOOST_TEST(hear(outside) == "next");
    BOOST_TEST(server.server().counters().peak == 2u);
    BOOST_TEST(server.seen().refused == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, one_beyond_what_the_server_may_have_is_refused,
    cells_where(transports, looks_beyond), where)
{
    served server(where, echo, two_at_once(at_limit::refuse));
    auto inside = clients_inside(server, 2);
    auto outside = server.client();
    BOOST_TEST(hear(outside) == "busy");
    BOOST_TEST(hear(outside) == the_end);
    inside.front().leave();
    BOOST_TEST(eventually([&] { return server.server().counters().active == 1; }));
    outside = server.client();
    BOOST_TEST(ask(outside, "next") == "next");

    auto const counters = server.server().counters();
    BOOST_TEST(counters.accepted == 4u);
    BOOST_TEST(counters.refused_at_limit == 1u);
    BOOST_TEST(counters.active == 2u);
    BOOST_TEST(counters.peak == 2u);
}

BOOST_DATA_TEST_CASE_F(nothing_left, one_beyond_the_limit_of_the_strategy_is_refused,
    data::make(transports) * data::make(at_the_limit_and_look), transport, strategy)
{
    auto set = of_two_coroutines();
    set.when_full = at_limit::refuse;
    served server(cell_of(strategy.text, transport), echo, set);
    auto inside = clients_inside(server, strategy.runs);
    std::vector<client_stream> queued;
    for (std::size_t i = 0; i < strategy.queues; ++i)
    {
        queued.push_back(server.client());
        BOOST_REQUIRE(
            eventually([&] { return server.server().counters().active == strategy.runs + i + 1; }));
    }
    auto outside = server.client();
    BOOST_TEST(hear(outside) == "busy");
    BOOST_TEST(hear(outside) == the_end);
    BOOST_TEST(server.server().counters().refused_at_limit == 1u);
    BOOST_TEST(server.server().counters().peak == strategy.runs + strategy.queues);
    queued.clear();
    inside.clear();
    BOOST_TEST(eventually([&] { return server.server().counters().active == 0; }));
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_client_has_no_more_than_it_may,
    cells_where(std::vector{transports.front()}, runs_several), where)
{
    settings set;
    set.max_active_per_client = 1;
    served server(where, echo, set);
    auto first = client_from("127.0.0.1:0", server.address());
    first.send("in\n");
    BOOST_TEST(first.line() == "in");
    // Whichever worker it comes to.
    for (int i = 0; i < 4; ++i)
    {
        auto const before = server.seen().refused.load();
        auto second = client_from("127.0.0.1:0", server.address());
        BOOST_TEST(second.line() == "busy");
        BOOST_TEST(server.seen().refused == before + 1);
    }
    auto other = client_from("127.0.0.2:0", server.address());
    other.send("in\n");
    BOOST_TEST(other.line() == "in");
    BOOST_TEST(server.server().counters().refused_per_client == 4u);

    // Who has seen the end of one may have the next.
    for (int i = 0; i < 10; ++i)
    {
        first.end();
        BOOST_TEST(first.line() == "");
        BOOST_TEST(server.server().counters().active == 1u);
        first = client_from("127.0.0.1:0", server.address());
        first.send("again\n");
        BOOST_TEST(first.line() == "again");
    }
}

BOOST_DATA_TEST_CASE_F(nothing_left, clients_without_an_address_are_not_limited,
    cells_where(std::vector{transports.back()}, runs_several), where)
{
    settings set;
    set.max_active_per_client = 1;
    served server(where, echo, set);
    auto const clients = clients_inside(server, 2);
    BOOST_TEST(server.server().counters().refused_per_client == 0u);
}

BOOST_DATA_TEST_CASE_F(nothing_left, where_nobody_has_time_the_caller_runs_it,
    data::make(transports) * data::make(whose_caller_runs), transport, text)
{
    settings set;
    set.when_full = at_limit::caller_runs;
    shared<gate> leave;
    // The first request in each thread of the strategy stays; that of the loop does not.
    shared<std::atomic<int>> stay{1};
    served server(
        cell_of(text, transport),
        [&](stream& s) {
            if ((*stay)-- > 0)
            {
                say(s, "stays");
                leave->wait();
                return;
            }
            echo(s);
        },
        set);
    auto first = server.client();
    BOOST_TEST(hear(first) == "stays");
    // What a pool has queued waits for the first; what comes then does not.
    std::vector<client_stream> queued;
    if (std::string_view(text).find("pool") != std::string_view::npos)
    {
        queued.push_back(server.client());
        BOOST_REQUIRE(eventually([&] { return server.server().counters().active == 2; }));
    }
    auto next = server.client();
    BOOST_TEST(ask(next, "runs") == "runs");
    leave->open();
    BOOST_TEST(hear(first) == the_end);
}

BOOST_DATA_TEST_CASE(says_what_it_cannot_do,
    data::make(
        {"forking", "fork-server", "coroutine", "preforking/forking", "preforking/coroutine"}),
    text)
{
    settings set;
    set.when_full = at_limit::caller_runs;
    observations seen;
    auto const server = transports.front().make(text, seen, set, some_port(), echo);
    BOOST_CHECK_EXCEPTION(server->serve_forever(), std::invalid_argument,
        support::names("possible are at_limit::defer"));
}

BOOST_DATA_TEST_CASE(refuses_a_limit_that_would_let_in_nobody,
    data::make({"synchronous", "coroutine", "preforking"}), text)
{
    observations seen;
    auto const is_said = support::names("a limit of it is 0");
    auto server = transports.front().make(text, seen, {}, some_port(), echo);
    server->max_active = 0;
    BOOST_CHECK_EXCEPTION(server->serve_forever(), std::invalid_argument, is_said);
    server->max_active.reset();
    server->max_active_per_client = 0;
    BOOST_CHECK_EXCEPTION(server->serve_forever(), std::invalid_argument, is_said);
}

BOOST_DATA_TEST_CASE(refuses_an_n_that_would_let_in_nobody,
    data::make(
        {"threading", "thread-pool", "forking", "coroutine", "preforking", "preforking/threading"}),
    text)
{
    auto const is_said = support::names("a limit of it is 0");
    auto const is_refused = [&](auto const& set) {
        auto const server = socketserver::make_server<socketserver::tcp_server>(
            text, socketserver::configured(set), some_port(), echo);
        BOOST_CHECK_EXCEPTION(server->serve_forever(), std::invalid_argument, is_said);
        if (!socketserver::strategy(text).preforks())
            BOOST_CHECK_EXCEPTION(server->handle_request(), std::invalid_argument, is_said);
    };
    is_refused([](auto& server) {
        if constexpr (requires { server.dispatching_limit(0); })
            server.dispatching_limit(0);
        else if constexpr (requires { server.serving_limit(0); })
            server.serving_limit(0);
    });
    if (std::string_view(text) == "coroutine")
        is_refused([](auto& server) {
            if constexpr (requires { server.max_coroutines; })
                server.max_coroutines = 0;
        });
}

} // namespace
