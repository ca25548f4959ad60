// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/servers.hpp>

#define BOOST_TEST_MODULE servers
#include <boost/test/unit_test.hpp>

#include "support/served.hpp"

#include <boost/mp11/list.hpp>

using namespace socketserver;

using all = boost::mp11::mp_list<synchronous_tcp_server, threading_tcp_server,
    thread_pool_tcp_server, forking_tcp_server, preforking_tcp_server, coroutine_tcp_server>;

BOOST_AUTO_TEST_CASE_TEMPLATE(is_one_name_for_a_server_that_serves, Server, all)
{
    support::served<Server> server("127.0.0.1:0", [](stream& s) { s.send_all("hello\n"); });
    BOOST_TEST(server.connect().all() == "hello\n");
}
