// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// All clients in one thread, by an edge-triggered epoll set: the least that a server of many
// connections can do.

#include "sockets.hpp"

#include <cerrno>
#include <sys/epoll.h>

namespace {

// Until the client has sent no more; what it does not read in time is of no concern here.
void echo(int fd)
{
    static char bytes[buffer_size];
    for (;;)
    {
        auto const n = ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0 || ::send(fd, bytes, static_cast<std::size_t>(n), MSG_NOSIGNAL) != n)
        {
            ::close(fd);
            return;
        }
        // That was all: the set tells when there is more.
        if (static_cast<std::size_t>(n) < sizeof bytes)
            return;
    }
}

} // namespace

int main()
{
    int const listener = listen_on_loopback(SOCK_NONBLOCK);
    int const set = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    wanted.data.fd = listener;
    ::epoll_ctl(set, EPOLL_CTL_ADD, listener, &wanted);
    for (;;)
    {
        epoll_event events[256];
        int const n = ::epoll_wait(set, events, 256, -1);
        for (int i = 0; i < n; ++i)
        {
            if (events[i].data.fd != listener)
            {
                echo(events[i].data.fd);
                continue;
            }
            // One a turn: to ask once more than there are clients costs more than the turn.
            int const fd = accept_client(listener, SOCK_NONBLOCK);
            if (fd < 0)
                continue;
            wanted.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
            wanted.data.fd = fd;
            ::epoll_ctl(set, EPOLL_CTL_ADD, fd, &wanted);
            // Mostly something has come already: the set need not tell.
            echo(fd);
        }
    }
}
