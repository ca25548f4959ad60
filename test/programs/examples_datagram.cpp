// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The examples that serve datagrams and Unix sockets, from outside.

#define BOOST_TEST_MODULE programs_examples_datagram
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "programs/examples.hpp"
#include "support/client.hpp"
#include "support/folder.hpp"
#include "support/program.hpp"

#include <socketserver/datagram_client.hpp>
#include <socketserver/endpoint.hpp>

#include <chrono>
#include <csignal>
#include <string>
#include <unistd.h>

namespace data = boost::unit_test::data;
using namespace examples;
using socketserver::endpoint;
using support::client;
using support::program;

namespace {

auto const strategies = data::make(words{"synchronous", "threading", "thread-pool", "forking",
    "coroutine", "preforking:2", "preforking:2/coroutine"});

struct datagram_client : socketserver::datagram_client
{
    explicit datagram_client(endpoint const& server)
        : socketserver::datagram_client(server)
    {
        timeout(std::chrono::seconds(10));
    }

    std::string ask(std::string const& question)
    {
        send(question);
        return receive();
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(upper_udp)

BOOST_DATA_TEST_CASE(answers_in_upper_case, strategies, strategy)
{
    served s("upper_udp_server", {"--strategy", strategy});
    datagram_client one(s.address);
    datagram_client two(s.address);
    BOOST_TEST(one.ask("hello") == "HELLO");
    BOOST_TEST(two.ask("Two lines\nin one\n") == "TWO LINES\nIN ONE\n");
    BOOST_TEST((one.ask(std::string(9000, 'x')) == std::string(9000, 'X')));
    s.check_ends();
}

BOOST_DATA_TEST_CASE(answers_nothing_with_nothing, strategies, strategy)
{
    served s("upper_udp_server", {"--strategy", strategy});
    datagram_client c(s.address);
    c.send("");
    BOOST_TEST(c.ask("next") == "NEXT");
    s.check_ends();
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(unix_server)

namespace {

// A folder of its own for a socket, empty again in the end.
struct socket_file
{
    ~socket_file() { BOOST_TEST(folder.is_empty()); }

    endpoint address() const { return support::unix_endpoint(folder / "socket"); }

    support::folder folder;
};

std::string const you = "You are process " + std::to_string(::getpid()) + " of user " +
                        std::to_string(::geteuid()) + ".\n";

} // namespace

BOOST_DATA_TEST_CASE(tells_who_connects, strategies, strategy)
{
    socket_file file;
    program server("unix_server", {"--bind", file.address().str(), "--strategy", strategy});
    BOOST_TEST(server.address() == file.address());
    for (int i = 0; i < 3; ++i)
        BOOST_TEST(client(file.address()).all() == you);
    server.signal(SIGTERM);
    BOOST_TEST(server.exit_status() == 0);
}

BOOST_DATA_TEST_CASE(tells_who_sends_a_datagram, strategies, strategy)
{
    socket_file file;
    program server(
        "unix_server", {"--datagram", "--bind", file.address().str(), "--strategy", strategy});
    BOOST_TEST(server.address() == file.address());
    datagram_client c(file.address());
    BOOST_TEST(c.ask("who am I?") == you);
    BOOST_TEST(c.ask("") == you);
    BOOST_TEST(datagram_client(file.address()).ask("and I?") == you);
    server.signal(SIGTERM);
    BOOST_TEST(server.exit_status() == 0);
}

BOOST_DATA_TEST_CASE(needs_no_file, data::make({false, true}), datagram)
{
    auto const name = "unix:@socketserver-test-" + std::to_string(::getpid());
    program server(
        "unix_server", words{"--bind", name} + (datagram ? words{"--datagram"} : words{}));
    auto const address = server.address();
    BOOST_TEST(address == endpoint(name));
    BOOST_TEST((datagram ? datagram_client(address).ask("who?") : client(address).all()) == you);
    server.signal(SIGTERM);
    BOOST_TEST(server.exit_status() == 0);
}

BOOST_AUTO_TEST_CASE(leaves_alone_the_file_of_another)
{
    socket_file file;
    auto const address = file.address().str();
    program server("unix_server", {"--bind", address});
    BOOST_TEST(server.address() == file.address());
    check_refused("unix_server", {"--bind", address}, address);
    BOOST_TEST(client(file.address()).all() == you);
    server.signal(SIGTERM);
    BOOST_TEST(server.exit_status() == 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(command_line)

BOOST_AUTO_TEST_CASE(names_what_is_wrong)
{
    for (std::string const server : {"unix_server", "upper_udp_server"})
    {
        check_refused(server, {"--bind", "nonsense"}, "nonsense");
        check_refused(server, {"--strategy", "fibers"}, "fibers");
        check_refused(server, {"--port", "8009"}, "--port");
        check_refused(server, {"8009"}, "positional");
    }
    check_refused("unix_server", {"--bind", "127.0.0.1:0"}, "127.0.0.1:0");
    check_refused("upper_udp_server", {"--bind", "unix:@name"}, "unix:@name");
    check_refused("unix_server", {"--bind", "unix:/nowhere/socket"}, "unix:/nowhere/socket");

    served s("upper_udp_server");
    check_refused("upper_udp_server", {"--bind", s.address.str()}, s.address.str());
    BOOST_TEST(datagram_client(s.address).ask("are you there?") == "ARE YOU THERE?");
    s.check_ends();
}

BOOST_AUTO_TEST_SUITE_END()
