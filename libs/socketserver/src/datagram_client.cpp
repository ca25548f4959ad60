// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/datagram_client.hpp>

#include "current_request.hpp"
#include "socket_transport.hpp"
#include "stream_io.hpp"

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace socketserver {

using boost::asio::const_buffer;
using boost::asio::mutable_buffer;
using boost::system::error_code;
using boost::system::system_error;

namespace {

int connected_socket(endpoint const& server)
{
    auto const* const address = static_cast<sockaddr const*>(server.data());
    int const family = server.size() == 0 ? AF_UNSPEC : address->sa_family;
    int const fd = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr const unnamed{AF_UNIX, {}};
    // Bound to no name, a Unix socket is given one.
    if (fd >= 0 && (family != AF_UNIX || ::bind(fd, &unnamed, sizeof unnamed.sa_family) == 0) &&
        ::connect(fd, address, static_cast<socklen_t>(server.size())) == 0)
        return fd;
    error_code const ec(errno, boost::system::system_category());
    if (fd >= 0)
        ::close(fd);
    throw system_error(ec, "connect to " + server.str());
}

} // namespace

datagram_client::datagram_client(endpoint const& server)
    : bytes_(std::make_unique<socket_transport>(connected_socket(server), false))
{
    if (current_request)
        current_request->attach(*bytes_);
}

datagram_client::datagram_client(datagram_client&&) noexcept = default;

datagram_client& datagram_client::operator=(datagram_client&& other) noexcept
{
    if (this != &other)
    {
        close();
        bytes_ = std::move(other.bytes_);
        limits_ = other.limits_;
        max_packet_size = other.max_packet_size;
    }
    return *this;
}

datagram_client::~datagram_client()
{
    close();
}

void datagram_client::close() noexcept
{
    // Before any part of it is gone: another thread may be about to abort its request.
    if (bytes_)
        bytes_->leave_request();
    bytes_.reset();
}

void datagram_client::send(std::string_view message, error_code& ec)
{
    ec = {};
    stream_io::before_wait(*bytes_, ec);
    if (ec)
        return;
    const_buffer const whole(message.data(), message.size());
    // Where the kernel itself waits for room at a Unix server, an abort does not wake it; with a
    // limit, poll waits.
    auto limits = limits_;
    limits.idle = limits.idle.value_or(std::chrono::nanoseconds::max());
    bytes_->send({&whole, 1}, limits, ec);
}

void datagram_client::send(std::string_view message)
{
    error_code ec;
    send(message, ec);
    if (ec)
        throw system_error(ec, "send");
}

std::string datagram_client::receive(error_code& ec)
{
    ec = {};
    if (!buffer_ || buffer_size_ != max_packet_size)
    {
        // Not cleared: what no datagram fills costs no memory.
        buffer_.reset(new char[max_packet_size]);
        buffer_size_ = max_packet_size;
    }
    stream_io::before_wait(*bytes_, ec);
    if (ec)
        return {};
    mutable_buffer const room(buffer_.get(), buffer_size_);
    auto const n = bytes_->receive({&room, 1}, limits_, ec);
    // Of datagrams it is an empty one.
    if (ec == boost::asio::error::eof)
        ec = {};
    return std::string(buffer_.get(), n);
}

std::string datagram_client::receive()
{
    error_code ec;
    auto result = receive(ec);
    if (ec)
        throw system_error(ec, "receive");
    return result;
}

void datagram_client::timeout(std::optional<std::chrono::nanoseconds> limit) noexcept
{
    limits_.idle = limit;
}

void datagram_client::abort() noexcept
{
    bytes_->interrupt();
}

endpoint datagram_client::local_endpoint() const
{
    sockaddr_storage storage;
    socklen_t size = sizeof storage;
    if (::getsockname(native_handle(), reinterpret_cast<sockaddr*>(&storage), &size) < 0)
        return endpoint();
    return endpoint::from_native(&storage, size);
}

int datagram_client::native_handle() const noexcept
{
    return bytes_->native_handle();
}

} // namespace socketserver
