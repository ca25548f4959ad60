// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "socket_transport.hpp"

#include "io_vector.hpp"
#include "open_sockets.hpp"
#include "wait_for_room.hpp"
#include "without_sigpipe.hpp"

#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>

namespace socketserver {

using namespace std::chrono_literals;
using boost::system::error_code;
using core = coroutine_scheduler::core;
using std::chrono::nanoseconds;

namespace {

void set_errno(error_code& ec) noexcept
{
    ec.assign(errno, boost::system::system_category());
}

// One buffer costs the kernel less to look at than a message of them.
ssize_t send_some(int fd, io_vector const& v, int flags) noexcept
{
    auto const* const first = v.message.msg_iov;
    return v.message.msg_iovlen == 1
               ? ::send(fd, first->iov_base, first->iov_len, flags | MSG_NOSIGNAL)
               : ::sendmsg(fd, &v.message, flags | MSG_NOSIGNAL);
}

bool is_over(time_limits const& limits) noexcept
{
    return limits.deadline && time_limits::clock::now() >= *limits.deadline;
}

} // namespace

socket_transport::socket_transport(int descriptor, bool is_tcp) noexcept
    : descriptor_(descriptor)
    , is_tcp_(is_tcp)
{
    open_sockets::add(descriptor);
}

socket_transport::~socket_transport()
{
    close();
}

template <class Operation>
std::size_t socket_transport::perform(
    direction d, time_limits const& limits, error_code& ec, Operation const& operation)
{
    ec = {};
    auto* const in = core::current();
    auto const n =
        in ? perform_in(*in, d, limits, ec, operation) : perform_blocking(d, limits, ec, operation);
    d == direction::receive ? count_received(n) : count_sent(n);
    // The kernel still hands out what had arrived before the descriptor was shut down.
    if (interrupted())
    {
        ec = boost::asio::error::operation_aborted;
        return 0;
    }
    return n;
}

template <class Operation>
std::size_t socket_transport::perform_in(
    core& in, direction d, time_limits const& limits, error_code& ec, Operation const& operation)
{
    if (interrupted())
    {
        // A handler that tries again for ever must not keep its loop.
        in.sleep_until(clock::now());
        return 0;
    }
    auto until = clock::time_point::max();
    bool const limited = limits.idle || limits.deadline;
    if (limited)
        until = limits.until();
    bool const receives = d == direction::receive;
    auto& may = receives ? readiness_.readable : readiness_.writable;
    for (;;)
    {
        if (is_over(limits))
        {
            ec = boost::asio::error::timed_out;
            return 0;
        }
        if (readiness_.may(d))
        {
            ssize_t const n = operation(descriptor(), MSG_DONTWAIT, may);
            if (n >= 0)
            {
                in.has_moved();
                return static_cast<std::size_t>(n);
            }
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN)
            {
                set_errno(ec);
                return 0;
            }
            may = false;
        }
        if (limited && clock::now() >= until)
        {
            ec = boost::asio::error::timed_out;
            return 0;
        }
        switch (in.wait(readiness_, descriptor(), d, until))
        {
        case core::outcome::ready:
            break;
        case core::outcome::timed_out:
            ec = boost::asio::error::timed_out;
            return 0;
        case core::outcome::failed:
            set_errno(ec);
            return 0;
        }
        if (interrupted())
            return 0;
    }
}

template <class Operation>
std::size_t socket_transport::perform_blocking(
    direction d, time_limits const& limits, error_code& ec, Operation const& operation)
{
    bool const limited = limits.idle || limits.deadline;
    // A send that has moved a part and waits for the rest would begin that wait's time anew
    // without a word: with a limit, it moves what goes at once, and the rest is waited for here.
    bool const at_once = limited && d == direction::send;
    auto const until = limited ? limits.until() : clock::time_point::max();
    for (;;)
    {
        if (interrupted())
            return 0;
        if (at_once && is_over(limits))
        {
            ec = boost::asio::error::timed_out;
            return 0;
        }
        if (limited && !at_once)
        {
            auto const left = until - clock::now();
            if (left <= 0ns)
            {
                ec = boost::asio::error::timed_out;
                return 0;
            }
            if (!bound_by(left))
            {
                set_errno(ec);
                return 0;
            }
        }
        else if (d == direction::receive && bound_ != 0ns)
            bound_by(0ns);

        bool ignored = false;
        ssize_t const n = operation(descriptor(), at_once ? MSG_DONTWAIT : 0, ignored);
        if (n >= 0)
            return static_cast<std::size_t>(n);
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
        {
            set_errno(ec);
            return 0;
        }
        // The kernel's time is up.  Without a limit, somebody has made the descriptor
        // non-blocking.
        if ((at_once || !limited) && !wait(d, until, ec))
            return 0;
    }
}

// Sees to it that the kernel waits no longer than what is left.  A bound that is close enough is
// not set again: an open deadline would otherwise cost a system call with every operation.
bool socket_transport::bound_by(nanoseconds left) noexcept
{
    if (left != 0ns)
    {
        left = std::max<nanoseconds>(left, 1ms);
        if (bound_ != 0ns && bound_ <= left + 5ms && bound_ > left - left / 20)
            return true;
    }
    timeval const value{
        static_cast<std::time_t>(left / 1s), static_cast<suseconds_t>((left % 1s) / 1us)};
    if (::setsockopt(descriptor(), SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value) < 0)
        return false;
    bound_ = left;
    return true;
}

// Waits until the descriptor may be ready; false with a code when the time has come or it fails.
bool socket_transport::wait(direction d, clock::time_point until, error_code& ec) noexcept
{
    if (auto* const in = core::current())
    {
        switch (in->wait(readiness_, descriptor(), d, until))
        {
        case core::outcome::ready:
            return true;
        case core::outcome::timed_out:
            ec = boost::asio::error::timed_out;
            return false;
        case core::outcome::failed:
            set_errno(ec);
            return false;
        }
    }
    pollfd fd{descriptor(), static_cast<short>(d == direction::receive ? POLLIN : POLLOUT), 0};
    for (;;)
    {
        auto const left = until - clock::now();
        bool const forever = until == clock::time_point::max();
        timespec const timeout{static_cast<std::time_t>(std::max<nanoseconds>(left, 0ns) / 1s),
            static_cast<long>((std::max<nanoseconds>(left, 0ns) % 1s).count())};
        int const n = ::ppoll(&fd, 1, forever ? nullptr : &timeout, nullptr);
        if (n > 0)
            return true;
        if (n == 0)
            ec = boost::asio::error::timed_out;
        else if (errno == EINTR)
            continue;
        else
            set_errno(ec);
        return false;
    }
}

std::size_t socket_transport::receive(
    mutable_buffers buffers, time_limits const& limits, error_code& ec)
{
    io_vector v(buffers);
    auto const n =
        perform(direction::receive, limits, ec, [this, &v](int fd, int flags, bool& may_more) {
            auto const n = v.count == 1 ? ::recv(fd, v.parts[0].iov_base, v.parts[0].iov_len, flags)
                                        : ::recvmsg(fd, &v.message, flags);
            // Less than asked for is all that there was: of a byte stream.  A Unix one also stops where
            // descriptors were sent along.
            if (is_tcp_ && n > 0 && static_cast<std::size_t>(n) < v.size)
                may_more = false;
            return n;
        });
    if (n == 0 && !ec)
        ec = boost::asio::error::eof;
    return n;
}

std::size_t socket_transport::send(const_buffers buffers, time_limits const& limits, error_code& ec)
{
    io_vector v(buffers);
    std::size_t done = 0;
    // Once even if there is no byte: that is a datagram, too.
    do
    {
        auto const n =
            perform(direction::send, limits, ec, [&v](int fd, int flags, bool& may_more) {
                auto const n = send_some(fd, v, flags);
                if (n > 0 && static_cast<std::size_t>(n) < v.size)
                    may_more = false;
                return n;
            });
        done += n;
        v.advance(n);
    } while (v.size != 0 && !ec);
    return done;
}

std::size_t socket_transport::try_send(const_buffers buffers, error_code& ec)
{
    io_vector v(buffers);
    users_.fetch_add(1);
    ssize_t n = -1;
    if (int const fd = descriptor_.load(); fd < 0)
        errno = EBADF;
    else
        do
            n = send_some(fd, v, MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN)
        set_errno(ec);
    if (n > 0)
        count_sent(static_cast<std::size_t>(n));
    if (auto* const in = core::current())
        in->note_moved();
    users_.fetch_sub(1);
    return n < 0 ? 0 : static_cast<std::size_t>(n);
}

std::uint64_t socket_transport::send_file(
    int file, std::uint64_t offset, std::uint64_t count, time_limits const& limits, error_code& ec)
{
    // One system call sends no more than this.
    constexpr std::uint64_t most = 0x7ffff000;
    std::uint64_t done = 0;
    while (done < count)
    {
        auto position = static_cast<off_t>(offset + done);
        auto const n = perform(direction::send, limits, ec, [&](int fd, int flags, bool&) {
            // It has no MSG_DONTWAIT either: the socket is made non-blocking.
            bool const at_once = flags & MSG_DONTWAIT;
            without_sigpipe const guard;
            int on = 1;
            int off = 0;
            if (at_once)
                ::ioctl(fd, FIONBIO, &on);
            auto const n = ::sendfile(fd, file, &position, std::min(count - done, most));
            int const error = errno;
            if (at_once)
                ::ioctl(fd, FIONBIO, &off);
            errno = error;
            return n;
        });
        done += n;
        bool const is_no_file =
            ec == boost::system::errc::invalid_argument || ec == boost::system::errc::invalid_seek;
        if (is_no_file && done == 0)
            // Not one that the kernel can send by itself.
            return transport::send_file(file, offset, count, limits, ec);
        if (ec || n == 0)
            break;
    }
    return done;
}

void socket_transport::shutdown_send(error_code& ec)
{
    ec = {};
    if (::shutdown(descriptor(), SHUT_WR) < 0)
        set_errno(ec);
}

void socket_transport::wake() noexcept
{
    users_.fetch_add(1);
    if (int const fd = descriptor_.load(); fd >= 0)
        ::shutdown(fd, SHUT_RDWR);
    users_.fetch_sub(1);
}

void socket_transport::close() noexcept
{
    int const fd = descriptor_.exchange(-1);
    if (fd < 0)
        return;
    if (readiness_.owner)
        readiness_.owner->forget(readiness_);
    while (users_.load() != 0)
        std::this_thread::yield();
    open_sockets::remove(fd);
    ::close(fd);
}

int socket_transport::native_handle() const noexcept
{
    return descriptor();
}

int socket_transport::lend() noexcept
{
    if (bound_ != 0ns)
        bound_by(0ns);
    return descriptor();
}

int socket_transport::release() noexcept
{
    lend();
    int const fd = descriptor_.exchange(-1);
    if (readiness_.owner)
    {
        readiness_.owner->unwatch(readiness_, fd);
        readiness_.owner->forget(readiness_);
    }
    while (users_.load() != 0)
        std::this_thread::yield();
    open_sockets::remove(fd);
    return fd;
}

void socket_transport::connect(endpoint const& server, time_limits const& limits, error_code& ec)
{
    ec = {};
    int on = 1;
    int off = 0;
    ::ioctl(descriptor(), FIONBIO, &on);
    auto const begin = [&] {
        return ::connect(descriptor(), static_cast<sockaddr const*>(server.data()),
            static_cast<socklen_t>(server.size()));
    };
    int result;
    do
        result = begin();
    while (result < 0 && errno == EINTR);
    // The queue of a Unix server is full, and nothing has begun.
    if (result < 0 && errno == EAGAIN && !is_tcp_)
        wait_for_room(*this, limits.until(), ec, begin);
    else if (result < 0 && errno != EINPROGRESS)
        set_errno(ec);
    // An abort that came before there was anything to shut down is seen here.
    else if (result < 0 && !interrupted() && wait(direction::send, limits.until(), ec))
    {
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(descriptor(), SOL_SOCKET, SO_ERROR, &error, &size);
        ec.assign(error, boost::system::system_category());
    }
    if (interrupted())
    {
        // A handler that tries again for ever must not keep its loop.
        if (auto* const in = core::current())
            in->sleep_until(clock::now());
        ec = boost::asio::error::operation_aborted;
    }
    ::ioctl(descriptor(), FIONBIO, &off);
}

} // namespace socketserver
