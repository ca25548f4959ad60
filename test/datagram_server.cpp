// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/datagram_server.hpp>

#define BOOST_TEST_MODULE datagram_server
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/datagram_peer.hpp"
#include "support/descriptors.hpp"
#include "support/folder.hpp"
#include "support/ipv6.hpp"
#include "support/logged.hpp"
#include "support/names.hpp"
#include "support/request.hpp"
#include "support/sent_along.hpp"
#include "support/served.hpp"

#include <socketserver/servers.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/local/datagram_protocol.hpp>
#include <boost/system/system_error.hpp>

#include <fcntl.h>
#include <latch>
#include <ostream>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <type_traits>
#include <utility>

namespace asio = boost::asio;
using asio::ip::udp;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;
using support::datagram_peer;
using support::served;
using support::unix_endpoint;

namespace {

void echo(datagram& d)
{
    d.send(d.packet());
}

void tell_the_client(datagram& d, endpoint const& client_address)
{
    d.wfile() << client_address.str();
}

using synchronous = ready<udp_server>;
using synchronous_unix = ready<unix_datagram_server>;

template <class Option, class Server>
auto option_of(Server& server)
{
    Option option;
    server.socket().get_option(option);
    return option.value();
}

bool is_close_on_exec(int descriptor)
{
    return (::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0;
}

endpoint loopback(char const* text, endpoint const& server)
{
    return endpoint(text).with_port(server.port());
}

// Sends a datagram, has it handled, and gives the answer.
template <class Server>
std::string answer_of(Server& server, datagram_peer& client, std::string_view packet = "hello")
{
    client.send(packet);
    server.handle_request();
    return client.receive();
}

template <class Server>
std::string answer_of(Server& server)
{
    datagram_peer client(server.server_address());
    return answer_of(server, client);
}

} // namespace

// ---------------------------------------------------------------- addresses

BOOST_AUTO_TEST_CASE(tells_the_real_port_after_binding_port_0)
{
    synchronous server("127.0.0.1:0", echo);
    BOOST_TEST(server.server_address().port() != 0);
    BOOST_TEST(server.server_address().host() == "127.0.0.1");
    BOOST_TEST(answer_of(server) == "hello");
}

BOOST_AUTO_TEST_CASE(tells_the_handler_who_asks)
{
    synchronous server("127.0.0.1:0", tell_the_client);
    datagram_peer client(server.server_address());
    auto const answer = answer_of(server, client);
    BOOST_TEST(answer == loopback("127.0.0.1:0", client.name()).str());
}

BOOST_AUTO_TEST_CASE(serves_both_families_at_one_dual_stack_socket)
{
    synchronous server(":0", tell_the_client);
    auto const at = [&](char const* address) {
        datagram_peer client(loopback(address, server.server_address()));
        // And not as a mapped address of IPv6.
        auto const answer = answer_of(server, client);
        BOOST_TEST(answer == loopback(address, client.name()).str());
    };
    at("127.0.0.1:0");
    if (support::has_ipv6())
    {
        BOOST_TEST(server.server_address().is_dual_stack());
        at("[::1]:0");
    }
}

BOOST_AUTO_TEST_CASE(
    serves_ipv6_alone_when_told_so, *boost::unit_test::precondition(support::with_ipv6))
{
    synchronous server("[::]:0", echo);
    BOOST_TEST((server.address_family() == address_family::ipv6));
    datagram_peer ipv6(loopback("[::1]:0", server.server_address()));
    BOOST_TEST(answer_of(server, ipv6) == "hello");
    // The port is free for IPv4.
    synchronous const other(loopback("127.0.0.1:0", server.server_address()), echo);
}

BOOST_AUTO_TEST_CASE(knows_its_family_and_type)
{
    support::folder const folder;
    synchronous const ipv4("127.0.0.1:0", echo);
    BOOST_TEST((ipv4.address_family() == address_family::ipv4));
    BOOST_TEST(ipv4.socket_type() == SOCK_DGRAM);
    synchronous_unix const local(unix_endpoint(folder / "s"), echo);
    BOOST_TEST((local.address_family() == address_family::unix_domain));
    BOOST_TEST(local.socket_type() == SOCK_DGRAM);
}

BOOST_AUTO_TEST_CASE(refuses_what_is_no_address_of_its_protocol)
{
    BOOST_CHECK_EXCEPTION(
        synchronous("unix:@name", echo), std::invalid_argument, support::names("unix:@name"));
    BOOST_CHECK_EXCEPTION(synchronous_unix("127.0.0.1:0", echo), std::invalid_argument,
        support::names("127.0.0.1:0"));
    BOOST_CHECK_THROW(synchronous(endpoint(), echo), std::invalid_argument);
    BOOST_CHECK_THROW(synchronous_unix(endpoint(), echo), std::invalid_argument);
}

// ---------------------------------------------------------------- a port that is taken

BOOST_AUTO_TEST_CASE(a_port_that_is_taken_is_one_error_that_names_it)
{
    support::no_descriptor_left const nothing;
    synchronous first("127.0.0.1:0", echo);
    auto const taken = first.server_address();
    for (auto const& address : {taken, loopback(":0", taken), loopback("0.0.0.0:0", taken)})
        BOOST_CHECK_EXCEPTION(synchronous(address, echo), system_error,
            support::names(address.str(), asio::error::address_in_use));
    BOOST_TEST(answer_of(first) == "hello");
}

BOOST_AUTO_TEST_CASE(shares_its_port_when_all_allow_it)
{
    synchronous first(defer_activation, "127.0.0.1:0", echo);
    first.allow_reuse_port = true;
    first.activate();
    synchronous second(defer_activation, first.server_address(), echo);
    second.allow_reuse_port = true;
    second.activate();
    BOOST_CHECK_THROW(synchronous(first.server_address(), echo), system_error);
    BOOST_TEST(first.allow_reuse_address == false);
}

BOOST_AUTO_TEST_CASE(reuses_an_address_only_when_told_to)
{
    synchronous first(defer_activation, "127.0.0.1:0", echo);
    first.allow_reuse_address = true;
    first.activate();
    BOOST_TEST(option_of<udp::socket::reuse_address>(first));
    BOOST_CHECK_THROW(synchronous(first.server_address(), echo), system_error);
    synchronous second(defer_activation, first.server_address(), echo);
    second.allow_reuse_address = true;
    second.activate();
}

// ---------------------------------------------------------------- the socket

BOOST_AUTO_TEST_CASE(gives_its_socket_for_options)
{
    synchronous server("127.0.0.1:0", echo);
    server.socket().set_option(udp::socket::receive_buffer_size(100000));
    BOOST_TEST(option_of<udp::socket::receive_buffer_size>(server) >= 100000);
    BOOST_TEST(server.socket().native_handle() == server.fileno());
    BOOST_TEST(is_close_on_exec(server.fileno()));
    static_assert(std::is_same_v<decltype(server)::socket_type_of_asio, udp::socket>);

    support::folder const folder;
    synchronous_unix local(unix_endpoint(folder / "s"), echo);
    BOOST_TEST(is_close_on_exec(local.fileno()));
    BOOST_TEST((local.socket().local_endpoint().path() == folder / "s"));
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

BOOST_AUTO_TEST_CASE(takes_over_a_socket_that_is_bound)
{
    support::no_descriptor_left const nothing;
    asio::io_context context;
    udp::socket bound(context, udp::endpoint(asio::ip::address_v4::loopback(), 0));
    bound.set_option(udp::socket::broadcast(true));
    endpoint const address = bound.local_endpoint();
    datagram_peer early(address);
    early.send("early");
    synchronous server(std::move(bound), echo);
    BOOST_TEST(!bound.is_open());
    BOOST_TEST((server.server_address() == address));
    BOOST_TEST(option_of<udp::socket::broadcast>(server));
    BOOST_TEST(is_close_on_exec(server.fileno()));
    server.handle_request();
    BOOST_TEST(early.receive() == "early");
}

BOOST_AUTO_TEST_CASE(takes_over_a_unix_socket_and_leaves_its_file)
{
    support::no_descriptor_left const nothing;
    support::folder const folder;
    {
        asio::io_context context;
        asio::local::datagram_protocol::socket bound(context, folder / "s");
        synchronous_unix server(std::move(bound), echo);
        BOOST_TEST((server.server_address() == unix_endpoint(folder / "s")));
        BOOST_TEST(answer_of(server) == "hello");
    }
    BOOST_TEST(support::exists(folder / "s"));
}

BOOST_AUTO_TEST_CASE(takes_over_a_socket_and_closes_it_even_if_never_activated)
{
    support::no_descriptor_left const nothing;
    asio::io_context context;
    udp::socket bound(context, udp::endpoint(asio::ip::address_v4::loopback(), 0));
    synchronous const server(defer_activation, std::move(bound), echo);
}

// ---------------------------------------------------------------- what is received

BOOST_AUTO_TEST_CASE(an_empty_datagram_is_a_request)
{
    int handled = 0;
    synchronous server("127.0.0.1:0", [&](datagram& d) {
        BOOST_TEST(d.packet() == "");
        d.send("it is");
        ++handled;
    });
    datagram_peer client(server.server_address());
    BOOST_TEST(answer_of(server, client, "") == "it is");
    BOOST_TEST(handled == 1);
}

BOOST_AUTO_TEST_CASE(receives_all_of_a_datagram_by_default)
{
    support::folder const folder;
    synchronous_unix local(unix_endpoint(folder / "s"), [](datagram& d) {
        BOOST_TEST(!d.truncated());
        d.wfile() << d.packet().size();
    });
    datagram_peer unix_client(local.server_address());
    BOOST_TEST(answer_of(local, unix_client, std::string(200000, 'x')) == "200000");

    synchronous server("127.0.0.1:0", echo);
    datagram_peer client(server.server_address());
    std::string const largest(65507, 'x');
    BOOST_TEST((answer_of(server, client, largest) == largest));
}

BOOST_AUTO_TEST_CASE(says_what_a_datagram_longer_than_max_packet_size_has_lost)
{
    support::logged const log;
    synchronous server(defer_activation, "127.0.0.1:0",
        [](datagram& d) { d.wfile() << d.packet() << (d.truncated() ? " ..." : " and no more"); });
    server.max_packet_size = 5;
    server.activate();
    datagram_peer client(server.server_address());
    BOOST_TEST(answer_of(server, client, "12345") == "12345 and no more");
    BOOST_TEST(log.lines().empty());
    BOOST_TEST(answer_of(server, client, "123456") == "12345 ...");
    BOOST_TEST(answer_of(server, client, std::string(9000, '7')) == "77777 ...");
    BOOST_TEST(answer_of(server, client, "") == " and no more");
    // It is said once.
    BOOST_TEST(log.count("warning: " + server.server_address().str()) == 1u);
    BOOST_TEST(log.lines().size() == 1u);
}

BOOST_AUTO_TEST_CASE(descriptors_that_somebody_passes_along_do_not_stay_open)
{
    support::folder const folder;
    int handled = 0;
    synchronous_unix server(unix_endpoint(folder / "s"), [&](datagram& d) {
        BOOST_TEST(d.packet() == "take these");
        BOOST_TEST(d.peer_credentials().has_value());
        ++handled;
    });
    datagram_peer client(server.server_address());
    support::given_away pipe;
    struct
    {
        int descriptors[2];
    } const both{{pipe.descriptor(), pipe.descriptor()}};
    BOOST_TEST(support::send_along(
        client.descriptor(), "take these", SCM_RIGHTS, both, server.server_address()));
    auto const before = support::open_descriptors().size();
    server.handle_request();
    BOOST_TEST(handled == 1);
    BOOST_TEST(support::open_descriptors().size() == before);
    BOOST_TEST(pipe.is_closed_elsewhere());
}

BOOST_AUTO_TEST_CASE(what_another_process_has_taken_does_not_block_the_loop)
{
    served<synchronous> server("127.0.0.1:0", echo);
    int const same = ::fcntl(server->fileno(), F_DUPFD_CLOEXEC, 0);
    datagram_peer client(server->server_address());
    for (int i = 0; i < 50; ++i)
    {
        client.send("whoever comes first");
        char c;
        if (::recv(same, &c, 1, MSG_DONTWAIT) < 0)
            BOOST_TEST(client.receive() == "whoever comes first");
    }
    ::close(same);
    client.send("hello");
    BOOST_TEST(client.receive() == "hello");
}

BOOST_AUTO_TEST_CASE(what_is_not_verified_is_not_answered)
{
    class refusing : public udp_server
    {
    public:
        using udp_server::udp_server;

        bool verify_request(datagram& d, endpoint const&) override { return d.packet() != "no"; }
    };
    ready<refusing> server("127.0.0.1:0", echo);
    datagram_peer client(server.server_address());
    client.send("no");
    server.handle_request();
    BOOST_TEST(client.hears_nothing());
    BOOST_TEST(answer_of(server, client, "yes") == "yes");
}

// ---------------------------------------------------------------- clients that do harm

BOOST_AUTO_TEST_CASE(clients_that_are_gone_or_do_not_read_do_not_stop_it)
{
    support::folder const folder;
    support::logged log;
    served<synchronous_unix> server(unix_endpoint(folder / "s"), [](datagram& d) {
        d.timeout(20ms);
        d.send(d.packet());
    });
    datagram_peer full(server->server_address());
    support::fill(full.name());
    full.send("no room");
    datagram_peer gone(server->server_address());
    gone.send("gone");
    gone.close();
    auto unnamed = datagram_peer::unnamed(server->server_address());
    unnamed.send("no name");
    datagram_peer client(server->server_address());
    client.send("hello");
    BOOST_TEST(client.receive() == "hello");
    BOOST_TEST(log.wait_for("timed out"));
}

BOOST_AUTO_TEST_CASE(a_udp_client_that_is_gone_does_not_stop_it)
{
    served<synchronous> server("127.0.0.1:0", echo);
    for (int i = 0; i < 10; ++i)
        datagram_peer(server->server_address()).send("gone");
    datagram_peer client(server->server_address());
    client.send("hello");
    BOOST_TEST(client.receive() == "hello");
}

BOOST_AUTO_TEST_CASE(a_burst_is_served_as_far_as_the_system_keeps_it)
{
    synchronous server("127.0.0.1:0", echo);
    datagram_peer client(server.server_address());
    for (int i = 0; i < 100; ++i)
        client.send(std::to_string(i));
    support::beside loop([&] { server.serve_forever(); });
    for (int i = 0; i < 100; ++i)
        BOOST_TEST(client.receive() == std::to_string(i));
    server.shutdown();
    loop.get();
}

// ---------------------------------------------------------------- closing

BOOST_AUTO_TEST_CASE(requests_in_progress_answer_after_it_was_closed)
{
    support::folder const folder;
    std::latch entered{1};
    std::latch go_on{1};
    served<threading_unix_datagram_server> server(unix_endpoint(folder / "s"), [&](datagram& d) {
        entered.count_down();
        go_on.wait();
        d.wfile() << "late";
    });
    datagram_peer client(server->server_address());
    client.send("a question");
    entered.wait();
    server.stop();
    server->block_on_close = false;
    server->server_close();
    BOOST_TEST(server->fileno() == -1);
    BOOST_TEST(!support::exists(folder / "s"));
    // A new one may be there before the last answer has gone.
    synchronous_unix next(unix_endpoint(folder / "s"), echo);
    go_on.count_down();
    BOOST_TEST(client.receive() == "late");
    BOOST_TEST(answer_of(next) == "hello");
}
