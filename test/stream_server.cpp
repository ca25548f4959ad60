// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/stream_server.hpp>

#define BOOST_TEST_MODULE stream_server
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"
#include "support/folder.hpp"
#include "support/ipv6.hpp"
#include "support/names.hpp"
#include "support/served.hpp"

#include <socketserver/ready.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <netinet/tcp.h>
#include <ostream>
#include <stdexcept>
#include <string>
#include <sys/socket.h>

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;
using support::client;
using support::served;

namespace {

void echo(stream& s)
{
    for (std::string line; s.read_line(line);)
        s.wfile() << line << '\n';
}

void tell_the_client(stream& s, endpoint const& client_address)
{
    s.wfile() << client_address.str() << '\n';
}

using synchronous = ready<tcp_server>;
using synchronous_unix = ready<unix_stream_server>;

template <class Option>
Option option_of(tcp_server& server)
{
    Option option;
    server.acceptor().get_option(option);
    return option;
}

// How many connections may wait at a listening socket.
unsigned backlog_of(int listening)
{
    tcp_info info{};
    socklen_t size = sizeof info;
    ::getsockopt(listening, IPPROTO_TCP, TCP_INFO, &info, &size);
    return info.tcpi_sacked;
}

bool reaches(endpoint const& address)
{
    try
    {
        client const c(address);
        return true;
    }
    catch (std::system_error const&)
    {
        return false;
    }
}

} // namespace

BOOST_AUTO_TEST_CASE(tells_the_real_port_after_binding_port_0)
{
    served<synchronous> server("127.0.0.1:0", echo);
    BOOST_TEST(server->server_address().port() != 0);
    BOOST_TEST(server->server_address().str().starts_with("127.0.0.1:"));
    BOOST_TEST((server->address_family() == address_family::ipv4));
    auto c = server.connect();
    c.send("hello\n");
    BOOST_TEST(c.line() == "hello");
}

BOOST_AUTO_TEST_CASE(tells_the_handler_who_asks)
{
    served<synchronous> server("127.0.0.1:0", tell_the_client);
    auto c = server.connect();
    sockaddr_storage name;
    socklen_t size = sizeof name;
    ::getsockname(c.descriptor(), reinterpret_cast<sockaddr*>(&name), &size);
    BOOST_TEST(c.line() == endpoint::from_native(&name, size).str());
}

BOOST_AUTO_TEST_CASE(names_the_address_that_is_taken)
{
    support::no_descriptor_left const nothing;
    synchronous const first("127.0.0.1:0", echo);
    auto const taken = first.server_address();
    BOOST_CHECK_EXCEPTION(synchronous(taken, echo), system_error,
        support::names(taken.str(), asio::error::address_in_use));
}

BOOST_AUTO_TEST_CASE(refuses_what_is_no_address_of_tcp)
{
    BOOST_CHECK_EXCEPTION(
        synchronous("unix:@name", echo), std::invalid_argument, support::names("unix:@name"));
    BOOST_CHECK_THROW(synchronous(endpoint(), echo), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(serves_ipv4_clients_at_every_interface)
{
    served<synchronous> server(":0", tell_the_client);
    client c(endpoint("127.0.0.1:0").with_port(server->server_address().port()));
    // And not as a mapped address of IPv6.
    BOOST_TEST(c.line().starts_with("127.0.0.1:"));
}

BOOST_AUTO_TEST_CASE(serves_both_families_at_one_dual_stack_socket,
    *boost::unit_test::precondition(support::with_ipv6))
{
    served<synchronous> server(":0", tell_the_client);
    auto const port = server->server_address().port();
    BOOST_TEST(server->server_address().is_dual_stack());
    client c(endpoint("[::1]:0").with_port(port));
    BOOST_TEST(c.line().starts_with("[::1]:"));
    BOOST_TEST(reaches(endpoint("127.0.0.1:0").with_port(port)));
}

BOOST_AUTO_TEST_CASE(
    serves_ipv6_alone_when_told_so, *boost::unit_test::precondition(support::with_ipv6))
{
    served<synchronous> server("[::]:0", tell_the_client);
    auto const port = server->server_address().port();
    BOOST_TEST((server->address_family() == address_family::ipv6));
    BOOST_TEST(reaches(endpoint("[::1]:0").with_port(port)));
    BOOST_TEST(!reaches(endpoint("127.0.0.1:0").with_port(port)));
}

BOOST_AUTO_TEST_CASE(knows_its_family_and_type)
{
    synchronous const ipv4("127.0.0.1:0", echo);
    BOOST_TEST((ipv4.address_family() == address_family::ipv4));
    BOOST_TEST(ipv4.socket_type() == SOCK_STREAM);
    support::folder const folder;
    synchronous_unix const local(support::unix_endpoint(folder / "s"), echo);
    BOOST_TEST((local.address_family() == address_family::unix_domain));
    BOOST_TEST(local.socket_type() == SOCK_STREAM);
}

BOOST_AUTO_TEST_CASE(refuses_what_is_no_unix_address)
{
    BOOST_CHECK_EXCEPTION(synchronous_unix("127.0.0.1:0", echo), std::invalid_argument,
        support::names("127.0.0.1:0"));
    BOOST_CHECK_THROW(synchronous_unix(endpoint(), echo), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(a_unix_client_has_a_name_only_if_it_has_bound_one)
{
    support::folder const folder;
    served<synchronous_unix> server(
        support::unix_endpoint(folder / "s"), [](stream& s, endpoint const& client_address) {
            s.wfile() << client_address.str() << ' ' << s.local_endpoint().str() << '\n';
        });
    auto c = server.connect();
    BOOST_TEST(c.line() == "unnamed " + server->server_address().str());
}

BOOST_AUTO_TEST_CASE(waits_with_binding_when_asked_to)
{
    synchronous server(defer_activation, "127.0.0.1:0", echo);
    BOOST_TEST(server.fileno() == -1);
    BOOST_TEST(server.server_address().port() == 0);
    server.request_queue_size = 7;
    server.activate();
    BOOST_TEST(server.fileno() == server.acceptor().native_handle());
    BOOST_TEST(backlog_of(server.fileno()) == 7u);
}

BOOST_AUTO_TEST_CASE(lets_as_many_wait_as_the_system_allows)
{
    synchronous const server("127.0.0.1:0", echo);
    BOOST_TEST(backlog_of(server.fileno()) >= 128u);
}

BOOST_AUTO_TEST_CASE(sets_the_options_it_is_told_to)
{
    synchronous server(defer_activation, "127.0.0.1:0", echo);
    server.allow_reuse_address = false;
    server.activate();
    BOOST_TEST(!option_of<tcp::acceptor::reuse_address>(server).value());
    synchronous usual("127.0.0.1:0", echo);
    BOOST_TEST(option_of<tcp::acceptor::reuse_address>(usual).value());
}

BOOST_AUTO_TEST_CASE(shares_its_port_when_all_allow_it)
{
    synchronous first(defer_activation, "127.0.0.1:0", echo);
    first.allow_reuse_port = true;
    first.activate();
    synchronous second(defer_activation, first.server_address(), echo);
    second.allow_reuse_port = true;
    second.activate();
    BOOST_TEST(second.server_address().port() == first.server_address().port());
    BOOST_CHECK_THROW(synchronous(first.server_address(), echo), system_error);
}

BOOST_AUTO_TEST_CASE(takes_over_an_acceptor_that_listens)
{
    support::no_descriptor_left const nothing;
    asio::io_context context;
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    acceptor.listen(5);
    acceptor.set_option(tcp::no_delay(true));
    auto const port = acceptor.local_endpoint().port();
    {
        // A client that came before.
        client early(endpoint("127.0.0.1:0").with_port(port));
        served<synchronous> server(std::move(acceptor), echo);
        BOOST_TEST(!acceptor.is_open());
        BOOST_TEST(server->server_address().port() == port);
        BOOST_TEST(option_of<tcp::no_delay>(server.server()).value());
        BOOST_TEST(backlog_of(server->fileno()) == 5u);
        early.send("early\n");
        BOOST_TEST(early.line() == "early");
        early.close();
        auto c = server.connect();
        c.send("hello\n");
        BOOST_TEST(c.line() == "hello");
    }
    BOOST_TEST(!reaches(endpoint("127.0.0.1:0").with_port(port)));
}

BOOST_AUTO_TEST_CASE(takes_over_an_acceptor_and_closes_it_even_if_never_activated)
{
    support::no_descriptor_left const nothing;
    asio::io_context context;
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    synchronous const server(defer_activation, std::move(acceptor), echo);
}

BOOST_AUTO_TEST_CASE(takes_over_a_unix_acceptor_that_listens)
{
    support::no_descriptor_left const nothing;
    support::folder const folder;
    asio::io_context context;
    asio::local::stream_protocol::acceptor acceptor(context, folder / "s");
    client early(support::unix_endpoint(folder / "s"));
    served<synchronous_unix> server(std::move(acceptor), echo);
    BOOST_TEST(server->server_address().path() == folder / "s");
    BOOST_TEST(server->acceptor().native_handle() == server->fileno());
    early.send("early\n");
    BOOST_TEST(early.line() == "early");
    early.close();
}

BOOST_AUTO_TEST_CASE(has_a_descriptor_from_activation_until_it_is_closed)
{
    synchronous server(defer_activation, "127.0.0.1:0", echo);
    BOOST_TEST(server.fileno() == -1);
    server.activate();
    BOOST_TEST(server.fileno() >= 0);
    auto const address = server.server_address();
    server.server_close();
    BOOST_TEST(server.fileno() == -1);
    BOOST_TEST((server.server_address() == address));
    // The port is free.
    synchronous const next(address, echo);
}

BOOST_AUTO_TEST_CASE(hangs_up_on_those_who_wait_when_it_closes)
{
    synchronous server("127.0.0.1:0", echo);
    client c(server.server_address());
    server.server_close();
    BOOST_TEST(c.sees_end());
    BOOST_TEST(!reaches(server.server_address()));
}

BOOST_AUTO_TEST_CASE(an_announced_client_that_is_gone_does_not_block_the_loop)
{
    served<synchronous> server("127.0.0.1:0", echo);
    for (int i = 0; i < 20; ++i)
        server.connect().reset();
    auto c = server.connect();
    c.send("hello\n");
    BOOST_TEST(c.line() == "hello");
}

BOOST_AUTO_TEST_CASE(a_reply_reaches_a_client_that_had_more_to_say)
{
    std::string const reply(1 << 20, 'r');
    served<synchronous> server("127.0.0.1:0", [&](stream& s) {
        std::string line;
        s.read_line(line);
        s.send_all(reply);
    });
    for (int i = 0; i < 5; ++i)
    {
        auto c = server.connect();
        c.send("a question\n" + std::string(100000, '?'));
        BOOST_TEST((c.all() == reply));
    }
}

BOOST_AUTO_TEST_CASE(a_client_that_stays_does_not_keep_its_request)
{
    served<synchronous> server("127.0.0.1:0", [](stream& s) { s.send_all("bye\n"); });
    auto a = server.connect();
    BOOST_TEST(a.line() == "bye");
    // It has not closed; the next one is served all the same.
    auto const begin = std::chrono::steady_clock::now();
    auto b = server.connect();
    BOOST_TEST(b.line() == "bye");
    BOOST_TEST((std::chrono::steady_clock::now() - begin < 1s));
    BOOST_TEST(a.sees_end());
}

BOOST_AUTO_TEST_CASE(what_is_not_verified_sees_the_end)
{
    class refusing : public tcp_server
    {
    public:
        using tcp_server::tcp_server;

        bool verify_request(stream&, endpoint const&) override { return false; }
    };
    served<ready<refusing>> server("127.0.0.1:0", echo);
    for (int i = 0; i < 3; ++i)
    {
        auto c = server.connect();
        c.send("nobody reads this");
        BOOST_TEST(c.sees_end());
    }
}
