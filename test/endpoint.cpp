// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Test that the header is self-contained.
#include <socketserver/endpoint.hpp>

#define BOOST_TEST_MODULE endpoint
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/folder.hpp"

#include <algorithm>
#include <iomanip>
#include <map>
#include <sstream>
#include <stdexcept>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include <boost/asio/generic/raw_protocol.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/local/datagram_protocol.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace data = boost::unit_test::data;
namespace asio = boost::asio;
using namespace std::literals;
using socketserver::address_family;
using socketserver::endpoint;

namespace socketserver {

std::ostream& operator<<(std::ostream& stream, address_family family)
{
    constexpr char const* names[] = {"none", "ipv4", "ipv6", "unix_domain"};
    return stream << names[static_cast<int>(family)];
}

} // namespace socketserver

namespace {

static_assert(std::is_trivially_copyable_v<endpoint>);
static_assert(std::is_nothrow_default_constructible_v<endpoint>);
static_assert(std::is_convertible_v<char const*, endpoint>);
static_assert(std::is_convertible_v<std::string, endpoint>);
static_assert(std::is_convertible_v<std::string_view, endpoint>);
static_assert(std::is_convertible_v<asio::ip::udp::endpoint, endpoint>);
static_assert(!std::is_constructible_v<endpoint, std::nullptr_t>);
static_assert(!std::is_constructible_v<endpoint, int>);
static_assert(!std::is_constructible_v<endpoint, std::vector<char>>);

struct good_text
{
    std::string text;
    address_family family;
    std::string host;
    std::uint16_t port;
    std::string path;
    std::string printed = text;

    friend std::ostream& operator<<(std::ostream& stream, good_text const& sample)
    {
        return stream << std::quoted(sample.text);
    }
};

constexpr auto ipv4 = address_family::ipv4;
constexpr auto ipv6 = address_family::ipv6;
constexpr auto unix_domain = address_family::unix_domain;

std::vector<good_text> const good_texts = {
    {"127.0.0.1:8009", ipv4, "127.0.0.1", 8009, ""},
    {"0.0.0.0:8009", ipv4, "0.0.0.0", 8009, ""},
    {"255.255.255.255:65535", ipv4, "255.255.255.255", 65535, ""},
    {"127.0.0.1:0", ipv4, "127.0.0.1", 0, ""},
    {"localhost:80", ipv4, "127.0.0.1", 80, "", "127.0.0.1:80"},
    {"[::1]:8009", ipv6, "::1", 8009, ""},
    {"[::]:8009", ipv6, "::", 8009, ""},
    {"[2001:DB8:0::1]:80", ipv6, "2001:db8::1", 80, "", "[2001:db8::1]:80"},
    {"[fe80::1]:80", ipv6, "fe80::1", 80, ""},
    {"[fe80::1%lo]:80", ipv6, "fe80::1%lo", 80, ""},
    {"[fe80::1%4294967295]:80", ipv6, "fe80::1%4294967295", 80, ""},
    {"[ff02::1%lo]:80", ipv6, "ff02::1%lo", 80, ""},
    {"[::ffff:192.0.2.1]:80", ipv4, "192.0.2.1", 80, "", "192.0.2.1:80"},
    {":8009", ipv6, "", 8009, ""},
    {":0", ipv6, "", 0, ""},
    {"unix:/run/app.sock", unix_domain, "", 0, "/run/app.sock"},
    {"unix:app.sock", unix_domain, "", 0, "app.sock"},
    {"unix:./@app", unix_domain, "", 0, "./@app"},
    {"unix:/a:b [c]", unix_domain, "", 0, "/a:b [c]"},
    {"unix:/" + std::string(107, 'p'), unix_domain, "", 0, "/" + std::string(107, 'p')},
    {"unix:@name", unix_domain, "", 0, "@name"},
    {"unix:@" + std::string(107, 'n'), unix_domain, "", 0, "@" + std::string(107, 'n')},
    {"unix:@a\0b\0"s, unix_domain, "", 0, "@a\0b\0"s},
};

struct bad_text
{
    std::string text;
    std::string reason;

    friend std::ostream& operator<<(std::ostream& stream, bad_text const& sample)
    {
        return stream << std::quoted(sample.text);
    }
};

std::vector<bad_text> const bad_texts = {
    {"", "the port is missing"},
    {"unnamed", "the port is missing"},
    {"8009", "the port is missing"},
    {"127.0.0.1", "the port is missing"},
    {"localhost", "the port is missing"},
    {":", "the port is missing"},
    {"127.0.0.1:", "the port is missing"},
    {"[::1]:", "the port is missing"},
    {"127.0.0.1:65536", "a port is a number from 0 to 65535"},
    {"127.0.0.1:99999999999999999999", "a port is a number"},
    {"127.0.0.1:-1", "a port is a number"},
    {"127.0.0.1:+80", "a port is a number"},
    {"127.0.0.1: 80", "a port is a number"},
    {"127.0.0.1:80 ", "a port is a number"},
    {"127.0.0.1:80\n", "a port is a number"},
    {"127.0.0.1:80\0"s, "a port is a number"},
    {"127.0.0.1:80x", "a port is a number"},
    {"127.0.0.1:0x50", "a port is a number"},
    {"127.0.0.1:080", "a port is a number"},
    {"127.0.0.1:00", "a port is a number"},
    {"127.0.0.1:http", "a port is a number"},
    {"127.0.0.1:80/", "a port is a number"},
    {" 127.0.0.1:80", "not an address; names are not looked up"},
    {"127.0.0.1\0:80"s, "not an address; names are not looked up"},
    {"127.0.0.1%lo:80", "not an address; names are not looked up"},
    {"127.0.0.256:80", "not an address; names are not looked up"},
    {"127.0.0.01:80", "not an address; names are not looked up"},
    {"127.1:80", "not an address; names are not looked up"},
    {"2130706433:80", "not an address; names are not looked up"},
    {"example.org:80", "not an address; names are not looked up"},
    {"Localhost:80", "not an address; names are not looked up"},
    {"*:80", "not an address; names are not looked up"},
    {"::1:80", "an IPv6 address stands in brackets"},
    {"::1", "an IPv6 address stands in brackets"},
    {"::", "an IPv6 address stands in brackets"},
    {"http://127.0.0.1:80", "an IPv6 address stands in brackets"},
    {"[::1", "a bracket is open"},
    {"[", "a bracket is open"},
    {"[::1]", "a colon and the port must follow"},
    {"[::1]80", "a colon and the port must follow"},
    {"[::1] :80", "a colon and the port must follow"},
    {"[]:80", "not an IPv6 address"},
    {"[[::1]]:80", "not an IPv6 address"},
    {"[127.0.0.1]:80", "not an IPv6 address"},
    {"[localhost]:80", "not an IPv6 address"},
    {"[::1\0]:80"s, "not an IPv6 address"},
    {"[1:2:3:4:5:6:7:8:9]:80", "not an IPv6 address"},
    {"[::1%lo]:80", "only a link-local address has a scope"},
    {"[fe80::1%]:80", "neither the name nor the number"},
    {"[fe80::1%0]:80", "neither the name nor the number"},
    {"[fe80::1%4294967296]:80", "neither the name nor the number"},
    {"[fe80::1%1x]:80", "neither the name nor the number"},
    {"[fe80::1%-1]:80", "neither the name nor the number"},
    {"[fe80::1%lo\0]:80"s, "neither the name nor the number"},
    {"[fe80::1%no-such-interface]:80", "neither the name nor the number"},
    {"unix:", "the path is empty"},
    {"unix:@", "the path is empty"},
    {"unix:/" + std::string(108, 'p'), "longer than the 108 bytes"},
    {"unix:@" + std::string(108, 'n'), "longer than the 108 bytes"},
    {"unix:/run/app\0.sock"s, "a path cannot hold a NUL"},
    {"unix", "the port is missing"},
    {"Unix:/run/app.sock", "not an address; names are not looked up"},
};

template <class Exception>
auto says(std::string_view text)
{
    return [text](Exception const& error) {
        BOOST_TEST_MESSAGE(error.what());
        return std::string_view(error.what()).find(text) != std::string_view::npos;
    };
}

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

BOOST_DATA_TEST_CASE(understands_every_form_of_text, data::make(good_texts))
{
    endpoint const value = sample.text;
    BOOST_TEST(value.family() == sample.family);
    BOOST_TEST(value.host() == sample.host);
    BOOST_TEST(value.port() == sample.port);
    BOOST_TEST(value.path() == sample.path);
    BOOST_TEST(value.str() == sample.printed);
    BOOST_TEST(value.is_dual_stack() == sample.text.starts_with(':'));
    BOOST_TEST(value.is_abstract() == sample.text.starts_with("unix:@"));
}

BOOST_DATA_TEST_CASE(comes_back_from_what_it_prints, data::make(good_texts))
{
    endpoint const value = sample.text;
    BOOST_TEST(endpoint(value.str()) == value);
}

BOOST_DATA_TEST_CASE(comes_back_from_its_native_bytes, data::make(good_texts))
{
    endpoint const value = sample.text;
    auto const back = endpoint::from_native(value.data(), value.size());
    if (value.is_dual_stack())
        BOOST_TEST(back == "[::]:" + std::to_string(value.port()));
    else
        BOOST_TEST(back == value);
}

BOOST_DATA_TEST_CASE(refuses_any_other_text, data::make(bad_texts))
{
    BOOST_CHECK_EXCEPTION(
        endpoint(sample.text), std::invalid_argument, says<std::invalid_argument>(sample.reason));
}

BOOST_AUTO_TEST_CASE(names_the_text_it_refuses_and_what_is_possible)
{
    auto const names_it = says<std::invalid_argument>("'example.org:80' is not an endpoint: ");
    auto const says_more = says<std::invalid_argument>(
        "possible are 127.0.0.1:8009, [::1]:8009, :8009 (every interface), localhost:8009, "
        "unix:/path and unix:@name");
    BOOST_CHECK_EXCEPTION(endpoint("example.org:80"), std::invalid_argument, names_it);
    BOOST_CHECK_EXCEPTION(endpoint("example.org:80"), std::invalid_argument, says_more);
}

BOOST_AUTO_TEST_CASE(names_a_text_with_control_characters_in_one_line)
{
    BOOST_CHECK_EXCEPTION(endpoint("a\r\n\0\x1b\x7f:80"sv), std::invalid_argument,
        says<std::invalid_argument>("'a\\x0d\\x0a\\x00\\x1b\\x7f:80' is not"));
}

BOOST_AUTO_TEST_CASE(refuses_a_null_pointer)
{
    char const* const text = nullptr;
    BOOST_CHECK_THROW(endpoint{text}, std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(holds_no_address_when_default_constructed)
{
    endpoint const value;
    BOOST_TEST(value.family() == address_family::none);
    BOOST_TEST(value.host() == "");
    BOOST_TEST(value.port() == 0);
    BOOST_TEST(value.path() == "");
    BOOST_TEST(value.size() == 0u);
    BOOST_TEST(value.str() == "unnamed");
    BOOST_TEST(!value.is_abstract());
    BOOST_TEST(!value.is_dual_stack());
}

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
    BOOST_TEST(value.family() == address_family::ipv4);
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
            std::invalid_argument, says<std::invalid_argument>("too short"));
        BOOST_CHECK_EXCEPTION(endpoint::from_native(value.data(), 1), std::invalid_argument,
            says<std::invalid_argument>("too short"));
    }
}

BOOST_AUTO_TEST_CASE(refuses_native_bytes_of_another_family)
{
    sockaddr const netlink = {.sa_family = AF_NETLINK, .sa_data = {}};
    asio::generic::raw_protocol::endpoint const generic(&netlink, sizeof netlink);
    BOOST_CHECK_EXCEPTION(endpoint{generic}, std::invalid_argument,
        says<std::invalid_argument>("neither IPv4, IPv6 nor Unix: 16"));
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
        says<std::invalid_argument>("'unix:/s' is of a family"));
    BOOST_CHECK_THROW(
        endpoint("unix:/run/" + std::string(90, 'p')).to<tcp>(), std::invalid_argument);
    BOOST_CHECK_THROW(endpoint("127.0.0.1:80").to<local>(), std::invalid_argument);
    BOOST_CHECK_THROW(endpoint("[::1]:80").to<local>(), std::invalid_argument);
    BOOST_CHECK_THROW(endpoint().to<tcp>(), std::invalid_argument);
    BOOST_CHECK_THROW(endpoint().to<local>(), std::invalid_argument);
    BOOST_CHECK_THROW(endpoint().to<generic>(), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(changes_the_port_and_nothing_else)
{
    BOOST_TEST(endpoint("127.0.0.1:0").with_port(80) == "127.0.0.1:80");
    BOOST_TEST(endpoint("[fe80::1%lo]:0").with_port(65535) == "[fe80::1%lo]:65535");
    BOOST_TEST(endpoint(":0").with_port(80) == ":80");
    BOOST_CHECK_EXCEPTION(endpoint("unix:/run/app").with_port(80), std::invalid_argument,
        says<std::invalid_argument>("'unix:/run/app' is not an IP endpoint"));
    BOOST_CHECK_THROW(endpoint().with_port(80), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(tells_endpoints_apart)
{
    std::vector<endpoint> const distinct = {
        endpoint(),
        "127.0.0.1:80",
        "127.0.0.1:81",
        "127.0.0.2:80",
        "[::1]:80",
        ":80",
        "[::]:80",
        "0.0.0.0:80",
        "[fe80::1]:80",
        "unix:/a",
        "unix:/b",
        "[fe80::1%lo]:80",
        "unix:@/a",
        "unix:@a",
        endpoint("unix:@a\0"s),
        "unix:a",
    };
    std::map<endpoint, std::size_t> sorted;
    std::unordered_set<endpoint> hashed;
    std::unordered_set<std::size_t> hashes;
    for (std::size_t i = 0; i != distinct.size(); ++i)
    {
        sorted.emplace(distinct[i], i);
        hashed.insert(distinct[i]);
        hashes.insert(std::hash<endpoint>()(distinct[i]));
        for (std::size_t j = 0; j != distinct.size(); ++j)
        {
            BOOST_TEST((distinct[i] == distinct[j]) == (i == j));
            BOOST_TEST((distinct[i] < distinct[j]) == (distinct[j] > distinct[i]));
        }
    }
    BOOST_TEST(sorted.size() == distinct.size());
    BOOST_TEST(hashed.size() == distinct.size());
    BOOST_TEST(hashes.size() == distinct.size());
    for (std::size_t i = 0; i != distinct.size(); ++i)
        BOOST_TEST(sorted.at(distinct[i]) == i);
}

BOOST_AUTO_TEST_CASE(is_written_to_a_stream_padded_to_its_width)
{
    std::ostringstream stream;
    stream << std::setw(8) << std::left << endpoint(":80") << '|' << endpoint("unix:@name");
    BOOST_TEST(stream.str() == ":80     |unix:@name");
}
