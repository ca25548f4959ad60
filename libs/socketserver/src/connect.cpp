// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/connect.hpp>

#include "current_request.hpp"
#include "socket_transport.hpp"
#include "stream_io.hpp"

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <memory>
#include <sys/socket.h>
#include <utility>

namespace socketserver {

using boost::system::error_code;

namespace {

int family_of(endpoint const& e) noexcept
{
    return static_cast<sockaddr const*>(e.data())->sa_family;
}

} // namespace

stream connect(
    endpoint const& server, std::optional<std::chrono::nanoseconds> limit, error_code& ec)
{
    ec = {};
    if (server.size() == 0)
    {
        ec = boost::asio::error::invalid_argument;
        return stream();
    }
    int const descriptor = ::socket(family_of(server), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
    {
        ec.assign(errno, boost::system::system_category());
        return stream();
    }
    auto bytes = std::make_unique<socket_transport>(
        descriptor, server.family() != address_family::unix_domain);
    auto& socket = *bytes;
    stream result(std::move(bytes));
    time_limits limits;
    limits.idle = limit;
    if (current_request)
    {
        // It belongs to the request from the start: an abort ends the connecting, too.
        current_request->attach(socket);
        stream_io::before_wait(socket, ec);
    }
    if (!ec)
        socket.connect(server, limits, ec);
    if (ec)
        return stream();
    return result;
}

stream connect(endpoint const& server, std::optional<std::chrono::nanoseconds> limit)
{
    error_code ec;
    auto result = connect(server, limit, ec);
    if (ec)
        throw boost::system::system_error(ec, "connect to " + server.str());
    return result;
}

} // namespace socketserver
