// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The first server, as it is; only its port is one that other tests need not have.

#define BOOST_TEST_MODULE first_server
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"
#include "support/served.hpp"

// Its main function is compiled here, and not run.
#define main first_server_main
#include "greeter.cpp"
#undef main

using namespace socketserver;
using support::client;

BOOST_AUTO_TEST_CASE(greets_two_clients_at_once)
{
    support::served<threading_tcp_server> served("127.0.0.1:0", handler<greeter>);
    client one = served.connect();
    client two = served.connect();
    two.send("world\n");
    BOOST_TEST(two.line() == "hello, world");
    one.send("you\nand you\n");
    BOOST_TEST(one.line() == "hello, you");
    BOOST_TEST(one.line() == "hello, and you");
}
