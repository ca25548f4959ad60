// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TOOLS_BENCH_PEERS_SOCKETS_HPP
#define SOCKETSERVER_TOOLS_BENCH_PEERS_SOCKETS_HPP

#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

// What the hand-written servers have in common.

/** How much each of them reads at once. */
constexpr std::size_t buffer_size = 16384;

/** Says where a server listens, as `socketserver echo` does. */
inline void tell_port(unsigned port)
{
    std::printf("listening on 127.0.0.1:%u\n", port);
    std::fflush(stdout);
}

/** Listens on a free port of 127.0.0.1, and says so.

    @param type What to add to SOCK_STREAM, such as SOCK_NONBLOCK.
*/
inline int listen_on_loopback(int type = 0)
{
    int const fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (fd < 0 || ::bind(fd, any, size) < 0 || ::listen(fd, SOMAXCONN) < 0 ||
        ::getsockname(fd, any, &size) < 0)
    {
        std::perror("listen");
        std::exit(EXIT_FAILURE);
    }
    tell_port(ntohs(address.sin_port));
    return fd;
}

/** Accepts a client, and sets what `socketserver echo` sets: the same service is compared.

    @param type What to add to the type of its socket, such as SOCK_NONBLOCK.
    @return Its socket; below 0 if it was gone.
*/
inline int accept_client(int listener, int type = 0)
{
    int const fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | type);
    int const on = 1;
    if (fd >= 0)
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/** Sends back what a client sends, until its end, and closes the connection. */
inline void echo_and_close(int fd)
{
    char bytes[buffer_size];
    for (;;)
    {
        auto const n = ::recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0 || ::send(fd, bytes, static_cast<std::size_t>(n), MSG_NOSIGNAL) != n)
            break;
    }
    ::close(fd);
}

#endif
