// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_DATAGRAM_PEER_HPP
#define SOCKETSERVER_TEST_SUPPORT_DATAGRAM_PEER_HPP

#include <socketserver/endpoint.hpp>

#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace support {

// The name that the system has for a socket.
inline socketserver::endpoint name_of(int socket)
{
    sockaddr_storage name;
    socklen_t size = sizeof name;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size) < 0)
        throw std::system_error(errno, std::system_category(), "getsockname");
    return socketserver::endpoint::from_native(&name, size);
}

// A datagram socket of the test's own, by the system's calls alone.  What does not come within the
// time limit is an exception.
class datagram_peer
{
public:
    // One that can be answered.
    explicit datagram_peer(socketserver::endpoint const& server)
        : datagram_peer(server, true)
    {
    }

    // One that has no name, which a Unix socket need not have.
    static datagram_peer unnamed(socketserver::endpoint const& server)
    {
        return datagram_peer(server, false);
    }

    datagram_peer(datagram_peer&& other) noexcept
        : server_(other.server_)
        , descriptor_(std::exchange(other.descriptor_, -1))
        , buffer_(std::move(other.buffer_))
    {
    }

    ~datagram_peer() { close(); }

    int descriptor() const noexcept { return descriptor_; }
    socketserver::endpoint name() const { return name_of(descriptor_); }

    // Gives it an address of this computer's own.
    void bind(socketserver::endpoint const& own)
    {
        require(::bind(descriptor_, static_cast<sockaddr const*>(own.data()),
                    static_cast<socklen_t>(own.size())) == 0,
            "bind");
    }

    void close() noexcept
    {
        if (int const fd = std::exchange(descriptor_, -1); fd >= 0)
            ::close(fd);
    }

    void send(std::string_view message) { send(message, server_); }

    void send(std::string_view message, socketserver::endpoint const& to)
    {
        ssize_t n;
        do
            n = ::sendto(descriptor_, message.data(), message.size(), MSG_NOSIGNAL,
                static_cast<sockaddr const*>(to.data()), static_cast<socklen_t>(to.size()));
        while (n < 0 && errno == EINTR);
        require(n >= 0, "send");
    }

    std::string receive()
    {
        socketserver::endpoint ignored;
        return receive(ignored);
    }

    std::string receive(socketserver::endpoint& from)
    {
        sockaddr_storage name;
        socklen_t size = sizeof name;
        ssize_t n;
        do
            n = ::recvfrom(descriptor_, buffer_.data(), buffer_.size(), 0,
                reinterpret_cast<sockaddr*>(&name), &size);
        while (n < 0 && errno == EINTR);
        require(n >= 0, "receive");
        from = socketserver::endpoint::from_native(&name, size);
        return buffer_.substr(0, static_cast<std::size_t>(n));
    }

    // Whether nothing has come yet.
    bool hears_nothing() const
    {
        char c;
        return ::recv(descriptor_, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
    }

private:
    datagram_peer(socketserver::endpoint const& server, bool named)
        : server_(server)
        , descriptor_(::socket(
              static_cast<sockaddr const*>(server.data())->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0))
    {
        require(descriptor_ >= 0, "socket");
        sockaddr const any{AF_UNIX, {}};
        if (named && server.family() == socketserver::address_family::unix_domain)
            require(::bind(descriptor_, &any, sizeof any.sa_family) == 0, "bind");
        timeval const limit{10, 0};
        ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }

    static void require(bool condition, char const* what)
    {
        if (!condition)
            throw std::system_error(
                errno, std::system_category(), std::string("datagram_peer: ") + what);
    }

    socketserver::endpoint server_;
    int descriptor_;
    std::string buffer_ = std::string(1 << 18, '\0');
};

// Sends datagrams to a Unix socket until it has no room for one more.
inline void fill(socketserver::endpoint const& who)
{
    int const fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    while (::sendto(fd, "full", 4, 0, static_cast<sockaddr const*>(who.data()),
               static_cast<socklen_t>(who.size())) == 4)
        ;
    ::close(fd);
}

} // namespace support

#endif
