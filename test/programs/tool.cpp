// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The command-line server, from outside.

#define BOOST_TEST_MODULE programs_tool
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "programs/tool.hpp"
#include "support/client.hpp"
#include "support/connected.hpp"

#include <socketserver/datagram_client.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <unistd.h>
#include <vector>

namespace data = boost::unit_test::data;
using namespace tool;

namespace {

auto const strategies =
    data::make(std::vector<std::string>{"synchronous", "threading:8", "thread-pool:8", "forking:8",
        "fork-server:8", "coroutine", "coroutine:2", "preforking:2", "preforking:2/threading",
        "preforking:2/thread-pool:2", "preforking:2/forking", "preforking:2/coroutine"});

// A loop that is occupied with a request gives its listener back after that.
bool runs_in_the_loop(std::string const& strategy)
{
    return strategy == "synchronous" || strategy == "preforking:2";
}

std::vector<bad_input> const bad_inputs{
    {{}, 2, "command"},
    {{"frobnicate"}, 2, "frobnicate"},
    {{"--port"}, 2, "--port"},
    {{"echo", "8009"}, 2, "8009"},
    {{"echo", "--port", "8009"}, 2, "--port"},
    {{"echo", "--str", "threading"}, 2, "--str"},
    {{"echo", "--bind"}, 2, "--bind"},
    {{"echo", "--bind", "example.org:80"}, 2, "example.org:80"},
    {{"echo", "--bind", "127.0.0.1:65536"}, 2, "127.0.0.1:65536"},
    {{"echo", "--bind", "unix:"}, 2, "unix:"},
    {{"echo", "--bind", "unix:/nowhere/x"}, 1, "unix:/nowhere/x"},
    {{"echo", "--bind", "192.0.2.1:0"}, 1, "192.0.2.1:0"},
    {{"echo", "--strategy", "fibers"}, 2, "fibers"},
    {{"echo", "--strategy", "threading:0"}, 2, "threading:0"},
    {{"echo", "--strategy", "coroutine:0"}, 2, "coroutine:0"},
    {{"echo", "--strategy", "threading/forking"}, 2, "threading/forking"},
    {{"echo", "--log", "loud"}, 2, "loud"},
    {{"echo", "--timeout", "soon"}, 2, "soon"},
    {{"echo", "--timeout", "-1"}, 2, "--timeout"},
    {{"echo", "--drain-timeout", "nan"}, 2, "--drain-timeout"},
};

} // namespace

BOOST_DATA_TEST_CASE(sends_back_bytes_as_they_come, strategies, strategy)
{
    echo e(strategy);
    {
        client c(e.address);
        using namespace std::string_literals;
        for (auto const& bytes : {"no end of line"s, "\0\xff\n"s, "\r\n\r\n"s})
        {
            c.send(bytes);
            BOOST_TEST(c.bytes(bytes.size()) == bytes);
        }
        for (char letter = 'a'; letter <= 'p'; ++letter)
        {
            std::string const bytes(50'000, letter);
            c.send(bytes);
            BOOST_TEST((c.bytes(bytes.size()) == bytes));
        }
        c.send("the last");
        c.end();
        BOOST_TEST(c.all() == "the last");
    }
    e.server.signal(SIGTERM);
    BOOST_TEST(e.server.exit_status() == 0);
    BOOST_TEST(e.server.output() == "");
}

BOOST_DATA_TEST_CASE(serves_two_clients_at_once, strategies, strategy)
{
    if (strategy == "synchronous")
        return;
    echo e(strategy);
    auto one = in_progress(e.address);
    auto two = in_progress(e.address);
    one.send("1");
    BOOST_TEST(one.bytes(1) == "1");
}

BOOST_DATA_TEST_CASE(drains_a_client_in_progress, strategies, strategy)
{
    echo e(strategy);
    {
        auto c = in_progress(e.address);
        e.server.signal(SIGTERM);
        if (!runs_in_the_loop(strategy))
            BOOST_TEST(support::is_closed(e.address));
        c.send("still here");
        BOOST_TEST(c.bytes(10) == "still here");
    }
    BOOST_TEST(e.server.exit_status() == 0);
}

BOOST_DATA_TEST_CASE(hears_every_signal_once_it_listens, strategies, strategy)
{
    // One that says too early that it does may be quick enough, now and then.
    for (int const first : {SIGTERM, SIGHUP, SIGTERM, SIGHUP, SIGTERM})
    {
        echo e(strategy);
        e.server.signal(first);
        // What has workers replaces them.
        if (first == SIGHUP && strategy.starts_with("preforking"))
            e.server.signal(SIGTERM);
        BOOST_TEST(e.server.exit_status() == 0);
    }
}

BOOST_DATA_TEST_CASE(ends_clients_that_outlast_the_drain, strategies, strategy)
{
    echo e(strategy, {"--drain-timeout", "0.1"});
    auto c = in_progress(e.address);
    e.server.signal(SIGTERM);
    BOOST_TEST(c.sees_end());
    BOOST_TEST(e.server.exit_status() == 0);
}

BOOST_DATA_TEST_CASE(ends_clients_on_a_second_signal, strategies, strategy)
{
    echo e(strategy);
    auto c = in_progress(e.address);
    e.server.signal(SIGINT);
    e.server.signal(SIGINT);
    BOOST_TEST(c.sees_end());
    BOOST_TEST(e.server.exit_status() == 0);
}

BOOST_DATA_TEST_CASE(hangs_up_on_a_silent_client, strategies, strategy)
{
    echo e(strategy, {"--timeout", "0.1"});
    auto silent = in_progress(e.address);
    BOOST_TEST(silent.sees_end());
    in_progress(e.address);
    e.server.signal(SIGTERM);
    BOOST_TEST(e.server.exit_status() == 0);
}

BOOST_AUTO_TEST_CASE(tells_the_port_of_every_interface)
{
    program server("socketserver", {"echo", "--bind", ":0"});
    auto const address = server.address();
    BOOST_TEST(address.host() == "");
    in_progress(endpoint("127.0.0.1:0").with_port(address.port()));
    server.signal(SIGTERM);
    BOOST_TEST(server.exit_status() == 0);
}

BOOST_DATA_TEST_CASE(sends_back_bytes_over_a_unix_socket, strategies, strategy)
{
    auto const name = "unix:@socketserver-test-" + std::to_string(::getpid());
    program server("socketserver", {"echo", "--bind", name, "--strategy", strategy});
    auto const address = server.address();
    BOOST_TEST(address == endpoint(name));
    in_progress(address);
    server.signal(SIGTERM);
    BOOST_TEST(server.exit_status() == 0);
}

BOOST_DATA_TEST_CASE(sends_back_datagrams, strategies, strategy)
{
    auto const name = "unix:@socketserver-test-" + std::to_string(::getpid());
    for (auto const& bind : {std::string("127.0.0.1:0"), name})
    {
        program server(
            "socketserver", {"echo", "--datagrams", "--bind", bind, "--strategy", strategy});
        socketserver::datagram_client client(server.address());
        client.timeout(std::chrono::seconds(20));
        for (std::string const packet : {"here", "", "there"})
        {
            client.send(packet);
            BOOST_TEST(client.receive() == packet);
        }
        server.signal(SIGTERM);
        BOOST_TEST(server.exit_status() == 0);
    }
}

BOOST_AUTO_TEST_CASE(logs_what_it_is_told_to)
{
    for (bool const quiet : {false, true})
    {
        echo e("threading", {"--log", quiet ? "fatal" : "info"});
        in_progress(e.address);
        e.server.signal(SIGTERM);
        BOOST_TEST(e.server.exit_status() == 0);
        auto const log = e.server.errors();
        BOOST_TEST((log.find("info: " + e.address.str()) == log.npos) == quiet);
    }
}

BOOST_AUTO_TEST_CASE(logs_its_counters_when_asked_and_how_it_ended)
{
    echo e("threading");
    auto first = in_progress(e.address);
    e.server.signal(SIGUSR1);
    first.end();
    BOOST_TEST(first.all() == "");
    // The loop that sees this one has seen the signal.
    auto second = in_progress(e.address);
    second.end();
    BOOST_TEST(second.all() == "");
    e.server.signal(SIGTERM);
    BOOST_TEST(e.server.exit_status() == 0);
    auto const log = e.server.errors();
    BOOST_TEST(log.find("accepted 1, active 1, peak 1, ") != log.npos, log);
    BOOST_TEST(log.find("bytes received 4, ") != log.npos, log);
    BOOST_TEST(log.find(" 0 left in the queue, in 0.") != log.npos, log);
}

BOOST_DATA_TEST_CASE(refuses_bad_input_in_one_line, data::make(bad_inputs), bad)
{
    check_refused(bad.arguments, bad.status, bad.named);
}

BOOST_AUTO_TEST_CASE(names_a_port_that_is_taken)
{
    support::listener const other;
    auto const taken = other.address().str();
    check_refused({"echo", "--bind", taken}, 1, taken);
}

BOOST_AUTO_TEST_CASE(helps)
{
    for (auto const& asked : std::vector<words>{{"--help"}, {"-h"}, {"echo", "--help"}})
    {
        program tool("socketserver", asked);
        BOOST_TEST(tool.output().starts_with("usage: socketserver "));
        BOOST_TEST(tool.errors() == "");
        BOOST_TEST(tool.exit_status() == 0);
    }
}

BOOST_AUTO_TEST_CASE(tells_its_version)
{
    program tool("socketserver", {"--version"});
    BOOST_TEST(tool.output().starts_with("socketserver "));
    BOOST_TEST(tool.exit_status() == 0);
}
