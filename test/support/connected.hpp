// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_CONNECTED_HPP
#define SOCKETSERVER_TEST_SUPPORT_CONNECTED_HPP

#include <socketserver/connect.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/stream.hpp>

#include "client.hpp"

#include <cerrno>
#include <optional>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace support {

// A socket that listens on loopback, by the system's calls alone.
class listener
{
public:
    // A buffer size of 0 leaves the system's; else it is that of the accepted connections.
    explicit listener(int backlog = 16, int receive_buffer = 0)
        : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        socketserver::endpoint const any("127.0.0.1:0");
        sockaddr_storage name;
        socklen_t size = sizeof name;
        if (receive_buffer != 0)
            ::setsockopt(
                descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
        if (descriptor_ < 0 ||
            ::bind(descriptor_, static_cast<sockaddr const*>(any.data()),
                static_cast<socklen_t>(any.size())) < 0 ||
            ::listen(descriptor_, backlog) < 0 ||
            ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&name), &size) < 0)
            throw std::system_error(errno, std::system_category(), "listener");
        address_ = socketserver::endpoint::from_native(&name, size);
    }

    listener(listener const&) = delete;
    listener& operator=(listener const&) = delete;

    ~listener() { ::close(descriptor_); }

    socketserver::endpoint const& address() const noexcept { return address_; }
    int descriptor() const noexcept { return descriptor_; }
    client accept() { return client(::accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC)); }

private:
    int descriptor_;
    socketserver::endpoint address_;
};

// A stream over a real connection, and its peer.
struct connected
{
    // With a buffer size, a write is soon one that waits.
    explicit connected(int buffer = 0)
    {
        listener l(1, buffer);
        stream = socketserver::connect(l.address());
        if (buffer != 0)
            ::setsockopt(stream.native_handle(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
        peer_.emplace(l.accept());
    }

    client& peer() { return *peer_; }

    socketserver::stream stream;

private:
    std::optional<client> peer_;
};

} // namespace support

#endif
