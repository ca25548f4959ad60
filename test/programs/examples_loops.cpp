// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The examples that have a loop of their own, from outside.

#define BOOST_TEST_MODULE programs_examples_loops
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "programs/examples.hpp"
#include "support/client.hpp"
#include "support/connected.hpp"
#include "support/program.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>

namespace data = boost::unit_test::data;
using namespace examples;
using socketserver::endpoint;
using support::client;
using support::program;

BOOST_AUTO_TEST_SUITE(one_request)

BOOST_AUTO_TEST_CASE(looks_after_other_things_while_nobody_comes)
{
    served s("one_request", {"--timeout", "10"});
    for (std::string const ticket : {"1", "2", "3"})
    {
        BOOST_TEST(s.server.line() == "nobody came");
        BOOST_TEST(client(s.address).all() == "ticket " + ticket + '\n');
    }
    BOOST_TEST(s.server.exit_status() == 0);
}

BOOST_AUTO_TEST_CASE(does_not_wait_for_the_time_limit_when_somebody_comes)
{
    served s("one_request", {"--timeout", "600000"});
    client one(s.address);
    client two(s.address);
    client three(s.address);
    BOOST_TEST(three.all() == "ticket 3\n");
    BOOST_TEST(s.server.exit_status() == 0);
    BOOST_TEST(one.all() == "ticket 1\n");
    BOOST_TEST(two.all() == "ticket 2\n");
    BOOST_TEST(s.server.output() == "");
}

BOOST_AUTO_TEST_CASE(names_what_is_wrong)
{
    support::listener const other;
    auto const taken = other.address().str();
    check_refused("one_request", {"--bind", taken}, taken);
    check_refused("one_request", {"--timeout", "soon"}, "soon");
    check_refused("one_request", {"--strategy", "threading"}, "--strategy");
    check_refused("one_request", {"8009"}, "positional");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(many_servers)

namespace {

// Three servers, and where they listen.
struct three : served
{
    explicit three(std::string const& strategy)
        : served("many_servers",
              {"--bind", "127.0.0.1:0", "--bind", "127.0.0.1:0", "--strategy", strategy})
    {
    }

    endpoint second = server.address();
    endpoint third = server.address();
};

std::string answer(client& c)
{
    c.send("hello\n");
    return c.line();
}

} // namespace

BOOST_DATA_TEST_CASE(each_answers_its_clients,
    data::make(words{"synchronous", "threading", "thread-pool", "forking", "coroutine"}), strategy)
{
    three s(strategy);
    for (int i = 0; i < 3; ++i)
    {
        int number = 1;
        for (auto const& address : {s.address, s.second, s.third})
        {
            client c(address);
            BOOST_TEST(answer(c) == "server " + std::to_string(number++) + ": hello");
            c.end();
            BOOST_TEST(c.all() == "");
        }
    }
    s.check_ends();
}

BOOST_DATA_TEST_CASE(all_serve_at_once_and_let_their_clients_end,
    data::make(words{"threading", "thread-pool", "forking", "coroutine"}), strategy)
{
    three s(strategy);
    client one(s.address);
    client two(s.second);
    client another(s.second);
    BOOST_TEST(answer(one) == "server 1: hello");
    BOOST_TEST(answer(another) == "server 2: hello");
    BOOST_TEST(answer(two) == "server 2: hello");
    BOOST_TEST(answer(one) == "server 1: hello");
    s.server.signal(SIGTERM);
    for (auto* const c : {&one, &two, &another})
    {
        c->send("bye\n");
        BOOST_TEST(c->line().ends_with("bye"));
        c->end();
    }
    BOOST_TEST(s.server.exit_status() == 0);
    BOOST_TEST(s.server.output() == "");
}

BOOST_DATA_TEST_CASE(one_at_its_limit_does_not_hold_up_the_others,
    data::make(words{"threading:1", "forking:1"}), strategy)
{
    three s(strategy);
    client first(s.address);
    BOOST_TEST(answer(first) == "server 1: hello");
    client next(s.address);
    next.send("hello\n");
    client other(s.second);
    BOOST_TEST(answer(other) == "server 2: hello");
    BOOST_TEST(next.hears_nothing());
    first.end();
    BOOST_TEST(next.line() == "server 1: hello");
    next.end();
    other.end();
    s.check_ends();
}

BOOST_AUTO_TEST_CASE(cannot_have_workers_take_the_requests)
{
    served s("many_servers", {"--strategy", "preforking:2"});
    client c(s.address);
    BOOST_TEST(is_one_line_of("many_servers", s.server.errors()));
    BOOST_TEST(s.server.exit_status() == 1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(inside_io_context)

namespace {

std::string echo(client& c, std::string const& bytes)
{
    c.send(bytes);
    return c.bytes(bytes.size());
}

// A program that says "tick" ten times a second, and no more often.
struct ticking : served
{
    ticking()
        : served("inside_io_context")
    {
    }

    // Reads ticks until one came that is later than the call, for more there cannot have been.
    void check_ticks()
    {
        auto const since = std::chrono::steady_clock::now() - start;
        for (auto const possible = since / std::chrono::milliseconds(100) + 1; ticks <= possible;
             ++ticks)
            BOOST_REQUIRE(server.line() == "tick");
    }

    // Gives where it listens now, past the ticks that come before.
    endpoint next_address()
    {
        std::string line;
        while ((line = server.line()) == "tick")
            BOOST_REQUIRE(++ticks < 500);
        BOOST_REQUIRE(line.starts_with("listening on "));
        return line.substr(line.rfind(' ') + 1);
    }

    // Before the program is told its first line.
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    int ticks = 0;
};

} // namespace

BOOST_AUTO_TEST_CASE(the_timer_ticks_while_the_server_serves_ends_and_serves_again)
{
    ticking s;
    client patient(s.address);
    for (int i = 0; i < 2; ++i)
    {
        BOOST_TEST(echo(patient, "served") == "served");
        s.check_ticks();

        s.server.signal(SIGHUP);
        BOOST_TEST(support::is_closed(s.address));
        s.check_ticks();
        BOOST_TEST(echo(patient, "still served") == "still served");
        s.check_ticks();

        patient.end();
        BOOST_TEST(patient.all() == "");
        s.address = s.next_address();
        s.check_ticks();
        patient = client(s.address);
    }
    BOOST_TEST(echo(patient, "served anew") == "served anew");
    s.server.signal(SIGTERM);
    BOOST_TEST(support::is_closed(s.address));
    BOOST_TEST(echo(patient, "the last") == "the last");
    patient.end();
    BOOST_TEST(s.server.exit_status() == 0);
}

BOOST_AUTO_TEST_CASE(names_what_is_wrong)
{
    support::listener const other;
    auto const taken = other.address().str();
    check_refused("inside_io_context", {"--bind", taken}, taken);
    check_refused("inside_io_context", {"--bind", "nonsense"}, "nonsense");
    check_refused("inside_io_context", {"--strategy", "threading"}, "--strategy");
}

BOOST_AUTO_TEST_SUITE_END()
