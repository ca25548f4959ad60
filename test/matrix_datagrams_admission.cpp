// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Every strategy over every transport of datagrams: how many requests at once, and what happens to
// the next.

#define BOOST_TEST_MODULE matrix_datagrams_admission

#include "support/matrix_datagrams.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

using namespace matrix;
using socketserver::at_limit;
namespace data = boost::unit_test::data;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// Has handlers that wait, each for a client of its own.
class guests
{
public:
    guests(served& server, desk& holds, std::size_t n)
        : server_(server)
        , holds_(holds)
    {
        for (std::size_t i = 0; i < n; ++i)
            enter();
    }

    void enter()
    {
        clients_.push_back(server_.client());
        clients_.back().send("in");
        inside_.push_back(holds_.next());
    }

    // Lets the first one go.
    void leave()
    {
        holds_.answer(inside_.front());
        inside_.pop_front();
        BOOST_TEST(clients_.front().receive() == "in");
        clients_.pop_front();
    }

    void leave_all()
    {
        while (!clients_.empty())
            leave();
    }

private:
    served& server_;
    desk& holds_;
    std::deque<datagram_peer> clients_;
    std::deque<desk::visitor> inside_;
};

bool are_in_progress(served& server, std::size_t n)
{
    return eventually([&] { return server.server().counters().active == n; });
}

datagram_peer client_from(endpoint const& own, endpoint const& server)
{
    datagram_peer client(server);
    client.bind(own);
    return client;
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, one_beyond_what_the_server_may_have_waits, cells_of_several, where)
{
    desk holds;
    served server(where, holds.holds(), two_at_once(at_limit::defer));
    guests all(server, holds, 2);
    BOOST_TEST(server.server().counters().active == 2u);
    auto outside = server.client();
    outside.send("next");
    BOOST_TEST(holds.is_silent());
    BOOST_TEST(outside.hears_nothing());
    all.leave();
    auto const next = holds.next();
    BOOST_TEST(next.question == "next");
    holds.answer(next);
    BOOST_TEST(outside.receive() == "next");
    BOOST_TEST(server.server().counters().peak == 2u);
    BOOST_TEST(server.seen().refused == 0);
    all.leave();
}

BOOST_DATA_TEST_CASE_F(nothing_left, one_beyond_what_the_server_may_have_is_refused,
    cells_where(transports, looks_beyond), where)
{
    desk holds;
    served server(where, holds.holds(), two_at_once(at_limit::refuse));
    guests all(server, holds, 2);
    auto outside = server.client();
    BOOST_TEST(ask(outside, "next") == "busy");
    all.leave();
    BOOST_TEST(are_in_progress(server, 1));
    all.enter();
    BOOST_TEST(outside.hears_nothing());

    auto const counters = server.server().counters();
    BOOST_TEST(counters.accepted == 4u);
    BOOST_TEST(counters.refused_at_limit == 1u);
    BOOST_TEST(counters.active == 2u);
    BOOST_TEST(counters.peak == 2u);
    all.leave_all();
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, one_beyond_the_limit_of_the_strategy_is_refused,
    data::make(transports) * data::make(at_the_limit_and_look), transport, strategy)
{
    auto set = of_two_coroutines();
    set.when_full = at_limit::refuse;
    desk holds;
    served server(cell_of(strategy.text, transport), holds.holds(), set);
    guests all(server, holds, strategy.runs);
    auto queued = server.client();
    for (std::size_t i = 0; i < strategy.queues; ++i)
    {
        queued.send("queued");
        BOOST_REQUIRE(are_in_progress(server, strategy.runs + i + 1));
    }
    auto outside = server.client();
    BOOST_TEST(ask(outside, "next") == "busy");
    BOOST_TEST(server.server().counters().refused_at_limit == 1u);
    all.leave_all();
    for (std::size_t i = 0; i < strategy.queues; ++i)
    {
        holds.answer(holds.next());
        BOOST_TEST(queued.receive() == "queued");
    }
    BOOST_TEST(are_in_progress(server, 0));
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_goodbye_that_cannot_be_sent_holds_up_nobody,
    cells_where(unix_transports, looks_beyond), where)
{
    desk holds;
    served server(where, holds.holds(), two_at_once(at_limit::refuse));
    guests all(server, holds, 2);
    auto full = server.client();
    support::fill(full.name());
    full.send("next");
    BOOST_REQUIRE(server.seen().error_seen.wait());
    auto unnamed = datagram_peer::unnamed(server.address());
    unnamed.send("next");
    auto outside = server.client();
    BOOST_TEST(ask(outside, "next") == "busy");
    BOOST_TEST(server.server().counters().refused_at_limit == 3u);
    BOOST_TEST(server.server().counters().active == 2u);
    all.leave_all();
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_client_has_no_more_than_it_may,
    cells_where(std::vector{transports.front()}, looks_beyond), where)
{
    settings set;
    set.max_active_per_client = 1;
    desk holds;
    served server(where, holds.holds(), set);
    auto first = client_from("127.0.0.1:0", server.address());
    first.send("first");
    auto const inside = holds.next();
    // Whichever worker it comes to, and whichever port it comes from.
    for (int i = 0; i < 4; ++i)
    {
        auto second = client_from("127.0.0.1:0", server.address());
        BOOST_TEST(ask(second, "second") == "busy");
        BOOST_TEST(ask(first, "again") == "busy");
    }
    auto other = client_from("127.0.0.2:0", server.address());
    other.send("other");
    holds.answer(holds.next());
    BOOST_TEST(other.receive() == "other");
    BOOST_TEST(server.server().counters().refused_per_client == 8u);

    holds.answer(inside);
    BOOST_TEST(first.receive() == "first");
    BOOST_TEST(are_in_progress(server, 0));
    first.send("again");
    holds.answer(holds.next());
    BOOST_TEST(first.receive() == "again");
}

BOOST_DATA_TEST_CASE_F(nothing_left, clients_without_an_address_are_not_limited,
    cells_where(unix_transports, runs_several), where)
{
    settings set;
    set.max_active_per_client = 1;
    desk holds;
    served server(where, holds.holds(), set);
    guests all(server, holds, 2);
    BOOST_TEST(server.server().counters().refused_per_client == 0u);
    all.leave_all();
}

BOOST_DATA_TEST_CASE_F(nothing_left, where_nobody_has_time_the_caller_runs_it,
    data::make(transports) * data::make(whose_caller_runs), transport, text)
{
    settings set;
    set.when_full = at_limit::caller_runs;
    desk holds;
    served server(
        cell_of(text, transport),
        [&](datagram& d) {
            if (d.packet() == "in")
                holds.ask("stays");
            echo(d);
        },
        set);
    guests all(server, holds, 1);
    // What a pool has queued waits for the first; what comes then does not.
    auto queued = server.client();
    bool const has_queue = std::string_view(text).find("pool") != std::string_view::npos;
    if (has_queue)
    {
        queued.send("queued");
        BOOST_REQUIRE(are_in_progress(server, 2));
    }
    auto next = server.client();
    BOOST_TEST(ask(next, "runs") == "runs");
    BOOST_TEST(queued.hears_nothing());
    all.leave();
    if (has_queue)
        BOOST_TEST(queued.receive() == "queued");
    BOOST_TEST(server.server().counters().refused_at_limit == 0u);
}

} // namespace
