// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_WAIT_FOR_ROOM_HPP
#define SOCKETSERVER_WAIT_FOR_ROOM_HPP

#include "strategy/coroutine_core.hpp"

#include <socketserver/transport.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <poll.h>

namespace socketserver {

// Waits a little.
inline void rest(time_limits::clock::time_point until) noexcept
{
    if (auto* const in = coroutine_scheduler::core::current())
        return in->sleep_until(until);
    auto const left =
        std::chrono::ceil<std::chrono::milliseconds>(until - time_limits::clock::now());
    // A signal that aborts the request ends it.
    ::poll(nullptr, 0, std::max(static_cast<int>(left.count()), 0));
}

// Tries a system call again and again until there is room: no descriptor tells when a Unix peer that
// one is not connected to has some.  Nothing wakes the wait, which is short each time.
template <class Call>
void wait_for_room(transport const& bytes, time_limits::clock::time_point until,
    boost::system::error_code& ec, Call const& call)
{
    using namespace std::chrono_literals;
    for (auto step = std::chrono::milliseconds(1);; step = std::min(step * 2, 50ms))
    {
        if (bytes.interrupted())
        {
            ec = boost::asio::error::operation_aborted;
            // A handler that tries again for ever must not keep its loop.
            if (auto* const in = coroutine_scheduler::core::current())
                in->sleep_until(time_limits::clock::now());
            return;
        }
        if (call() >= 0)
            return;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != ENOBUFS)
        {
            ec.assign(errno, boost::system::system_category());
            return;
        }
        auto const now = time_limits::clock::now();
        if (now >= until)
        {
            ec = boost::asio::error::timed_out;
            return;
        }
        rest(std::min(now + step, until));
    }
}

} // namespace socketserver

#endif
