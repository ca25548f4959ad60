// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "loop_wait.hpp"

#include <socketserver/base_server.hpp>

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace socketserver {

namespace {

[[noreturn]] void failed(char const* what)
{
    throw boost::system::system_error(errno, boost::system::system_category(), what);
}

std::chrono::nanoseconds left_until(loop_wait::clock::time_point until)
{
    auto const now = loop_wait::clock::now();
    return until > now ? until - now : std::chrono::nanoseconds(0);
}

// What an event in the set is of.
enum : unsigned
{
    is_listener,
    is_wake,
    is_source
};

} // namespace

loop_wait::loop_wait(bool listener_is_shared)
{
    if (listener_is_shared && (set_ = ::epoll_create1(EPOLL_CLOEXEC)) < 0)
        failed("epoll_create1");
}

loop_wait::~loop_wait()
{
    if (set_ >= 0)
        ::close(set_);
}

loop_wait::ready loop_wait::operator()(
    int listener, int wake, event_source* source, clock::time_point until)
{
    int const descriptor = source ? source->descriptor() : -1;
    if (set_ >= 0)
    {
        watch(listener_, listener, EPOLLIN | EPOLLEXCLUSIVE, is_listener);
        watch(wake_, wake, EPOLLIN, is_wake);
        watch(source_, descriptor, EPOLLIN, is_source);
    }
    int const others[] = {set_ >= 0 ? set_ : listener, set_ >= 0 ? -1 : wake};
    if (source && source->wait_with(others, until))
        until = clock::time_point::min();

    auto const forever = until == clock::time_point::max();
    auto const left = forever ? std::chrono::nanoseconds(0) : left_until(until);
    if (set_ >= 0)
    {
        // Rounded up: a wait that ends early would be a turn for nothing.
        auto const ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
        return by_epoll(
            listener, forever ? -1 : static_cast<int>(std::min<long>(ms, 1'000'000'000)));
    }

    // poll ignores negative descriptors.
    pollfd fds[] = {{listener, POLLIN, 0}, {wake, POLLIN, 0}, {descriptor, POLLIN, 0}};
    timespec const timeout{static_cast<std::time_t>(left.count() / 1'000'000'000),
        static_cast<long>(left.count() % 1'000'000'000)};
    if (::ppoll(fds, 3, forever ? nullptr : &timeout, nullptr) < 0)
    {
        if (errno == EINTR)
            return {};
        failed("poll");
    }
    return {fds[0].revents != 0, fds[1].revents != 0, fds[2].revents != 0};
}

loop_wait::ready loop_wait::by_epoll(int listener, int milliseconds)
{
    epoll_event events[3];
    int const n = ::epoll_wait(set_, events, 3, milliseconds);
    if (n < 0 && errno != EINTR)
        failed("epoll_wait");
    ready result;
    for (int i = 0; i < n; ++i)
    {
        result.listener |= events[i].data.u32 == is_listener;
        result.wake |= events[i].data.u32 == is_wake;
        result.source |= events[i].data.u32 == is_source;
    }
    // Who was woken for a connection may have found no means to take it, and nobody else has heard
    // of it: in a quiet moment, everybody looks.
    if (n == 0 && listener >= 0)
    {
        pollfd fd{listener, POLLIN, 0};
        result.listener = ::poll(&fd, 1, 0) > 0;
    }
    return result;
}

void loop_wait::watch(int& watched, int wanted, unsigned events, unsigned which)
{
    if (watched == wanted)
        return;
    if (watched >= 0)
        ::epoll_ctl(set_, EPOLL_CTL_DEL, watched, nullptr);
    watched = -1;
    if (wanted < 0)
        return;
    epoll_event event{};
    event.events = events;
    event.data.u32 = which;
    if (::epoll_ctl(set_, EPOLL_CTL_ADD, wanted, &event) < 0)
        failed("epoll_ctl");
    watched = wanted;
}

} // namespace socketserver
