// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/endpoint.hpp>

#define BOOST_TEST_MODULE endpoint
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/names.hpp"

#include <boost/asio/ip/udp.hpp>

#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <map>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>
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
        endpoint(sample.text), std::invalid_argument, support::names(sample.reason));
}

BOOST_AUTO_TEST_CASE(names_the_text_it_refuses_and_what_is_possible)
{
    auto const names_it = support::names("'example.org:80' is not an endpoint: ");
    auto const says_more = support::names(
        "possible are 127.0.0.1:8009, [::1]:8009, :8009 (every interface), localhost:8009, "
        "unix:/path and unix:@name");
    BOOST_CHECK_EXCEPTION(endpoint("example.org:80"), std::invalid_argument, names_it);
    BOOST_CHECK_EXCEPTION(endpoint("example.org:80"), std::invalid_argument, says_more);
}

BOOST_AUTO_TEST_CASE(names_a_text_with_control_characters_in_one_line)
{
    BOOST_CHECK_EXCEPTION(endpoint("a\r\n\0\x1b\x7f:80"sv), std::invalid_argument,
        support::names("'a\\x0d\\x0a\\x00\\x1b\\x7f:80' is not"));
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

BOOST_AUTO_TEST_CASE(changes_the_port_and_nothing_else)
{
    BOOST_TEST(endpoint("127.0.0.1:0").with_port(80) == "127.0.0.1:80");
    BOOST_TEST(endpoint("[fe80::1%lo]:0").with_port(65535) == "[fe80::1%lo]:65535");
    BOOST_TEST(endpoint(":0").with_port(80) == ":80");
    BOOST_CHECK_EXCEPTION(endpoint("unix:/run/app").with_port(80), std::invalid_argument,
        support::names("'unix:/run/app' is not an IP endpoint"));
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
