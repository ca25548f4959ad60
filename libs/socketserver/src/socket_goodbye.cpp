// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// How a connection is left, so that its peer gets all that was sent.

#include "socket_transport.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace socketserver {

using namespace std::chrono_literals;
using boost::system::error_code;

int socket_transport::unacknowledged() const noexcept
{
    int bytes = 0;
    return is_tcp_ && ::ioctl(descriptor(), SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

enum class socket_transport::leftover
{
    none,
    some,
    end
};

// Reads what the peer has sent and nobody wants, without waiting.
socket_transport::leftover socket_transport::read_leftover(std::size_t& budget) noexcept
{
    // Where each is thrown away unread, TCP needs no buffer (MSG_TRUNC); other sockets do.
    char buffer[4096];
    bool any = false;
    for (;;)
    {
        // Called by its number: ThreadSanitizer takes recv's null for a place that is written to.
        auto const n = is_tcp_ ? ::syscall(SYS_recvfrom, descriptor(), nullptr, 65536,
                                     MSG_DONTWAIT | MSG_TRUNC, nullptr, nullptr)
                               : ::recv(descriptor(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return any ? leftover::some : leftover::none;
        if (n <= 0)
            return leftover::end;
        any = true;
        if (static_cast<std::size_t>(n) >= budget)
            return leftover::end;
        budget -= static_cast<std::size_t>(n);
    }
}

// A close with unread bytes resets the connection, and a reset makes the peer's kernel throw away
// what it had received: a reply would be lost because its client had more to say.  So the end is
// told first, what is unread is read, and as long as it may matter the peer's end is waited for.
void socket_transport::linger(bool may_wait) noexcept
{
    if (interrupted())
        return;
    // Before the end is told, for that counts as a byte.
    bool const in_flight = unacknowledged() != 0;
    if (::shutdown(descriptor(), SHUT_WR) < 0)
        return;
    std::size_t budget = 1 << 20;
    auto found = read_leftover(budget);
    bool unread = is_tcp_ && found == leftover::some;
    if (!may_wait || (!unread && !in_flight))
        return;

    auto const end = clock::now() + 2s;
    auto step = std::chrono::milliseconds(1);
    while (found != leftover::end && !interrupted() && clock::now() < end)
    {
        error_code ec;
        readiness_.readable = false;
        if (wait(direction::receive, std::min(clock::now() + step, end), ec))
        {
            found = read_leftover(budget);
            unread = unread || (is_tcp_ && found == leftover::some);
        }
        else if (ec != boost::asio::error::timed_out)
            return;
        // What is left is the end itself.
        if (!unread && unacknowledged() <= 1)
            return;
        step = std::min(step * 2, std::chrono::milliseconds(50));
    }
}

} // namespace socketserver
