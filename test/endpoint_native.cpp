// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Addresses as the system and Asio have them.

#include <socketserver/endpoint.hpp>

#define BOOST_TEST_MODULE endpoint_native
#include <boost/test/unit_test.hpp>

#include "support/folder.hpp"
#include "support/names.hpp"

#include <boost/asio/generic/raw_protocol.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/local/datagram_protocol.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace asio = boost::asio;
using namespace std::literals;
using socketserver::address_family;
using socketserver::endpoint;

namespace {

sockaddr_in6 ipv6_address(char const* host, std::uint16_t port)
{
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    BOOST_REQUIRE(::inet_pton(AF_INET6, host, &address.sin6_addr) == 1);
    address.sin6_port = htons(port);
    return address;
}

endpoint unix_native(std::string_view path)
{
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    return endpoint::from_native(&address, offsetof(sockaddr_un, sun_path) + path.size());
}

class unix_socket
{
public:
    unix_socket() { BOOST_REQUIRE(handle_ != -1); }

    ~unix_socket() { ::close(handle_); }

    unix_socket(unix_socket const&) = delete;
    unix_socket& operator=(unix_socket const&) = delete;

    void bind(endpoint const& address)
    {
        auto const bytes = static_cast<sockaddr const*>(address.data());
        BOOST_REQUIRE(::bind(handle_, bytes, static_cast<socklen_t>(address.size())) == 0);
    }

    endpoint local_address() const
    {
        sockaddr_un address = {};
        socklen_t size = sizeof address;
        BOOST_REQUIRE(::getsockname(handle_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
        return endpoint::from_native(&address, size);
    }

private:
    int handle_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

} // namespace

BOOST_AUTO_TEST_CASE(holds_no_address_where_the_system_gives_none)
{
    sockaddr_un const unnamed = {.sun_family = AF_UNIX, .sun_path = {}};
    sockaddr const unspecified = {};
    BOOST_TEST(endpoint::from_native(nullptr, 0) == endpoint());
    BOOST_TEST(endpoint::from_native(&unnamed, sizeof(sa_family_t)) == endpoint());
    BOOST_TEST(endpoint::from_native(&unspecified, sizeof unspecified) == endpoint());
    BOOST_TEST(endpoint(asio::local::stream_protocol::endpoint()) == endpoint());
    BOOST_TEST(unix_socket().local_address() == endpoint());
}

BOOST_AUTO_TEST_CASE(gives_a_mapped_ipv4_client_as_ipv4)
{
    auto const mapped = ipv6_address("::ffff:192.0.2.1", 80);
    auto const value = endpoint::from_native(&mapped, sizeof mapped);
    BOOST_TEST((value.family() == address_family::ipv4));
    BOOST_TEST(value == "192.0.2.1:80");
    BOOST_TEST(value.size() == sizeof(sockaddr_in));
}

BOOST_AUTO_TEST_CASE(leaves_out_what_an_address_does_not_need)
{
    auto native = ipv6_address("2001:db8::1", 80);
    native.sin6_flowinfo = htonl(7);
    native.sin6_scope_id = 1;
    BOOST_TEST(endpoint::from_native(&native, sizeof native) == "[2001:db8::1]:80");

    sockaddr_in padded = {};
    std::fill(std::begin(padded.sin_zero), std::end(padded.sin_zero), 0xff);
    padded.sin_family = AF_INET;
    padded.sin_port = htons(80);
    BOOST_TEST(endpoint::from_native(&padded, sizeof padded) == "0.0.0.0:80");
}

BOOST_AUTO_TEST_CASE(keeps_the_scope_of_a_link_local_client)
{
    auto native = ipv6_address("fe80::1", 80);
    native.sin6_scope_id = 4294967295;
    BOOST_TEST(endpoint::from_native(&native, sizeof native) == "[fe80::1%4294967295]:80");
}

BOOST_AUTO_TEST_CASE(reads_native_bytes_at_any_alignment)
{
    endpoint const value = "[2001:db8::1]:80";
    std::vector<unsigned char> bytes(value.size() + 1);
    std::memcpy(bytes.data() + 1, value.data(), value.size());
    BOOST_TEST(endpoint::from_native(bytes.data() + 1, value.size()) == value);
}

BOOST_AUTO_TEST_CASE(refuses_native_bytes_that_are_too_short)
{
    for (endpoint const value : {"127.0.0.1:80", "[::1]:80"})
    {
        BOOST_CHECK_EXCEPTION(endpoint::from_native(value.data(), value.size() - 1),
            std::invalid_argument, support::names("too short"));
        BOOST_CHECK_EXCEPTION(endpoint::from_native(value.data(), 1), std::invalid_argument,
            support::names("too short"));
    }
}

BOOST_AUTO_TEST_CASE(refuses_native_bytes_of_another_family)
{
    sockaddr const netlink = {.sa_family = AF_NETLINK, .sa_data = {}};
    asio::generic::raw_protocol::endpoint const generic(&netlink, sizeof netlink);
    BOOST_CHECK_EXCEPTION(endpoint{generic}, std::invalid_argument,
        support::names("neither IPv4, IPv6 nor Unix: 16"));
}

BOOST_AUTO_TEST_CASE(ends_a_path_at_its_first_nul)
{
    BOOST_TEST(unix_native("/run/app\0junk"sv) == "unix:/run/app");
    BOOST_TEST(unix_native("/run/app"sv) == "unix:/run/app");
}

BOOST_AUTO_TEST_CASE(keeps_every_byte_of_an_abstract_name)
{
    BOOST_TEST(unix_native("\0name\0"sv).path() == "@name\0"s);
    BOOST_TEST(unix_native("\0name\0"sv) != unix_native("\0name"sv));
    BOOST_TEST(unix_native("\0"sv).str() == "unix:@");
}

BOOST_AUTO_TEST_CASE(does_not_let_a_file_pass_for_an_abstract_name)
{
    auto const file = unix_native("@name");
    BOOST_TEST(!file.is_abstract());
    BOOST_TEST(file != "unix:@name");
    BOOST_TEST(file.str() == "unix:./@name");
}

BOOST_AUTO_TEST_CASE(is_what_the_system_binds_and_reports)
{
    support::folder const folder;
    for (std::string const& path : {folder / "s", folder.path_of(107), folder.path_of(108),
             "@socketserver" + folder.path() + "\0"s})
    {
        endpoint const address = support::unix_endpoint(path);
        unix_socket socket;
        socket.bind(address);
        BOOST_TEST(socket.local_address() == address);
    }
}

BOOST_AUTO_TEST_CASE(goes_to_asio_and_back)
{
    using stream = asio::local::stream_protocol;
    using generic = asio::generic::stream_protocol;

    asio::ip::tcp::endpoint const tcp(asio::ip::make_address("127.0.0.1"), 80);
    BOOST_TEST(endpoint(tcp) == "127.0.0.1:80");
    BOOST_TEST(endpoint("127.0.0.1:80").to<asio::ip::tcp::endpoint>() == tcp);

    asio::ip::udp::endpoint const udp(asio::ip::make_address("fe80::1%lo"), 80);
    BOOST_TEST(endpoint(udp) == "[fe80::1%lo]:80");
    BOOST_TEST(endpoint("[fe80::1%lo]:80").to<asio::ip::udp::endpoint>() == udp);

    BOOST_TEST(endpoint(":80").to<asio::ip::tcp::endpoint>().address().is_unspecified());
    BOOST_TEST(endpoint(":80").to<asio::ip::tcp::endpoint>().address().is_v6());

    for (std::string const& path : {"/run/app"s, "/" + std::string(106, 'p')})
    {
        BOOST_TEST(endpoint(stream::endpoint(path)) == "unix:" + path);
        BOOST_TEST(endpoint("unix:" + path).to<stream::endpoint>().path() == path);
    }
    BOOST_TEST(endpoint(stream::endpoint("\0name"s)) == "unix:@name");
    BOOST_TEST(
        endpoint("unix:@name").to<asio::local::datagram_protocol::endpoint>().path() == "\0name"s);

    for (endpoint const value : {"127.0.0.1:80", "[::1]:80", "unix:/run/app", "unix:@name"})
        BOOST_TEST(endpoint(value.to<generic::endpoint>()) == value);
}

BOOST_AUTO_TEST_CASE(refuses_to_become_an_asio_endpoint_that_cannot_hold_it)
{
    using tcp = asio::ip::tcp::endpoint;
    using local = asio::local::stream_protocol::endpoint;
    using generic = asio::generic::stream_protocol::endpoint;

    BOOST_CHECK_EXCEPTION(endpoint("unix:/s").to<tcp>(), std::invalid_argument,
        support::names("'unix:/s' is of a family"));
    BOOST_CHECK_THROW(
        endpoint("unix:/run/" + std::string(90, 'p')).to<tcp>(), std::invalid_argument);
    BOOST_CHECK_THROW(endpoint("127.0.0.1:80").to<local>(), std::invalid_argument);
    BOOST_CHECK_THROW(endpoint("[::1]:80").to<local>(), std::invalid_argument);
    BOOST_CHECK_THROW(endpoint().to<tcp>(), std::invalid_argument);
    BOOST_CHECK_THROW(endpoint().to<local>(), std::invalid_argument);
    BOOST_CHECK_THROW(endpoint().to<generic>(), std::invalid_argument);
}
