// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_IPV6_HPP
#define SOCKETSERVER_TEST_SUPPORT_IPV6_HPP

#include <socketserver/endpoint.hpp>

#include <boost/test/unit_test.hpp>

#include <sys/socket.h>
#include <unistd.h>

namespace support {

inline bool has_ipv6()
{
    int const fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socketserver::endpoint const loopback("[::1]:0");
    bool const has = fd >= 0 && ::bind(fd, static_cast<sockaddr const*>(loopback.data()),
                                    static_cast<socklen_t>(loopback.size())) == 0;
    ::close(fd);
    return has;
}

// A precondition of tests that are about nothing else.
inline boost::test_tools::assertion_result with_ipv6(boost::unit_test::test_unit_id)
{
    boost::test_tools::assertion_result result(has_ipv6());
    result.message() << "there is no IPv6 here";
    return result;
}

} // namespace support

#endif
