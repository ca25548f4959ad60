// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/servers.hpp>

#define BOOST_TEST_MODULE servers
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/datagram_peer.hpp"
#include "support/descriptors.hpp"
#include "support/folder.hpp"
#include "support/matrix_process.hpp"
#include "support/sanitizer.hpp"
#include "support/served.hpp"

#include <boost/mp11/algorithm.hpp>
#include <boost/mp11/list.hpp>
#include <boost/system/system_error.hpp>

#include <istream>
#include <ostream>
#include <string>
#include <type_traits>

using namespace socketserver;

namespace {

using tcp = boost::mp11::mp_list<synchronous_tcp_server, threading_tcp_server,
    thread_pool_tcp_server, forking_tcp_server, preforking_tcp_server, coroutine_tcp_server>;

using unix_stream = boost::mp11::mp_list<synchronous_unix_stream_server,
    threading_unix_stream_server, thread_pool_unix_stream_server, forking_unix_stream_server,
    preforking_unix_stream_server, coroutine_unix_stream_server>;

using udp = boost::mp11::mp_list<synchronous_udp_server, threading_udp_server,
    thread_pool_udp_server, forking_udp_server, preforking_udp_server, coroutine_udp_server>;

using unix_datagram = boost::mp11::mp_list<synchronous_unix_datagram_server,
    threading_unix_datagram_server, thread_pool_unix_datagram_server, forking_unix_datagram_server,
    preforking_unix_datagram_server, coroutine_unix_datagram_server>;

using all = boost::mp11::mp_append<tcp, unix_stream, udp, unix_datagram>;

template <class Server>
constexpr bool is_of_streams = std::is_base_of_v<request_pipeline<stream>, Server>;

template <class Server>
constexpr bool is_unix = std::is_base_of_v<unix_stream_server, Server> ||
                         std::is_base_of_v<unix_datagram_server, Server>;

// Nothing is left: no descriptor, no thread, no child.
struct fixture : support::no_descriptor_left, matrix::nothing_left
{
    template <class Server>
    endpoint address() const
    {
        return is_unix<Server> ? support::unix_endpoint(folder / "server") : "127.0.0.1:0";
    }

    support::folder folder;
};

// One code for requests of both kinds.
auto const echo_a_line = [](auto& request) {
    std::string line;
    if (std::getline(request.rfile(), line))
        request.wfile() << line << '\n';
};

template <class Server>
std::string ask(Server& server, std::string const& question)
{
    if constexpr (is_of_streams<Server>)
    {
        support::client client(server.server_address());
        client.send(question);
        return client.all();
    }
    else
    {
        support::datagram_peer client(server.server_address());
        client.send(question);
        return client.receive();
    }
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(every_server, fixture)

BOOST_AUTO_TEST_CASE_TEMPLATE(answers_and_leaves_nothing, Server, all)
{
    Server server(address<Server>(), echo_a_line);
    support::beside loop([&] { server.serve_forever(); });
    for (char const* const question : {"hello\n", "and again\n", "world\n"})
        BOOST_TEST(ask(server, question) == question);
    server.shutdown();
    loop.get();
    server.server_close();
    BOOST_TEST(server.fileno() == -1);
    BOOST_TEST(matrix::children().empty());
    BOOST_TEST(folder.is_empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(may_be_closed_without_ever_serving, Server, all)
{
    Server server(address<Server>(), echo_a_line);
    BOOST_TEST(server.fileno() >= 0);
    server.server_close();
    BOOST_TEST(server.fileno() == -1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(is_shut_down_however_early, Server, all)
{
    for (int i = 0; i < 20 / support::slowness; ++i)
    {
        Server server(address<Server>(), echo_a_line);
        support::beside loop([&] { server.serve_forever(); });
        server.shutdown();
        loop.get();
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(leaves_no_descriptor_where_it_cannot_start, Server, all)
{
    Server const first(address<Server>(), echo_a_line);
    auto const before = support::open_descriptors();
    for (int i = 0; i < 10; ++i)
        BOOST_CHECK_THROW(Server(first.server_address(), echo_a_line), boost::system::system_error);
    BOOST_TEST(support::open_descriptors().size() == before.size());
}

BOOST_AUTO_TEST_SUITE_END()
