// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The example access_control, from outside.

#define BOOST_TEST_MODULE programs_examples_access
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "programs/examples.hpp"
#include "support/client.hpp"
#include "support/program.hpp"

#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace data = boost::unit_test::data;
using namespace examples;
using support::client;

namespace {

auto const strategies = data::make(
    words{"synchronous", "threading", "thread-pool", "forking", "coroutine", "preforking:2"});

bool is_admitted(socketserver::endpoint const& from, socketserver::endpoint const& server)
{
    auto c = support::client_from(from, server);
    if (c.sees_end())
        return false;
    BOOST_TEST(c.all() == "You are welcome.\n");
    return true;
}

boost::test_tools::assertion_result with_ipv6(boost::unit_test::test_unit_id)
{
    int const fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socketserver::endpoint const loopback("[::1]:0");
    boost::test_tools::assertion_result result(
        fd >= 0 && ::bind(fd, static_cast<sockaddr const*>(loopback.data()),
                       static_cast<socklen_t>(loopback.size())) == 0);
    ::close(fd);
    result.message() << "there is no IPv6 here";
    return result;
}

} // namespace

BOOST_DATA_TEST_CASE(admits_the_networks_that_it_is_told_of, strategies, strategy)
{
    served s("access_control",
        {"--strategy", strategy, "--allow", "127.1.0.0/16", "--allow", "127.0.0.2/32"});
    BOOST_TEST(is_admitted("127.0.0.2:0", s.address));
    BOOST_TEST(!is_admitted("127.0.0.1:0", s.address));
    BOOST_TEST(!is_admitted("127.0.0.3:0", s.address));
    BOOST_TEST(is_admitted("127.1.0.0:0", s.address));
    BOOST_TEST(is_admitted("127.1.255.254:0", s.address));
    BOOST_TEST(!is_admitted("127.2.0.1:0", s.address));
    s.check_ends();
}

BOOST_AUTO_TEST_CASE(admits_this_machine_unless_told_otherwise)
{
    served s("access_control");
    BOOST_TEST(is_admitted("127.0.0.1:0", s.address));
    BOOST_TEST(is_admitted("127.9.9.9:0", s.address));
    s.check_ends();
}

BOOST_AUTO_TEST_CASE(tells_the_two_families_apart, *boost::unit_test::precondition(with_ipv6))
{
    for (bool const ipv6 : {false, true})
    {
        support::program server(
            "access_control", {"--bind", ":0", "--allow", ipv6 ? "::1/128" : "127.0.0.0/8"});
        auto const port = server.address().port();
        auto const v4 = socketserver::endpoint("127.0.0.1:0");
        auto const v6 = socketserver::endpoint("[::1]:0");
        BOOST_TEST(is_admitted(v4, v4.with_port(port)) == !ipv6);
        BOOST_TEST(is_admitted(v6, v6.with_port(port)) == ipv6);
    }
}

BOOST_AUTO_TEST_CASE(names_what_is_no_network)
{
    for (std::string const bad : {"127.0.0.1", "127.0.0.0/33", "256.0.0.0/8", "::1", "home", ""})
        check_refused("access_control", {"--allow", bad}, "'" + bad + "'");
}
