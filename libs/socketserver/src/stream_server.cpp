// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/stream_server.hpp>

#include "idle_context.hpp"
#include "socket_transport.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/system/system_error.hpp>

#include <cerrno>
#include <fcntl.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace socketserver {

using boost::asio::ip::tcp;
using boost::system::error_code;
using boost::system::system_error;

struct tcp_server::listener
{
    endpoint address;
    tcp::acceptor acceptor{idle_context()};
    int adopted = -1;
    // The acceptor's, as long as this process has it.
    int descriptor = -1;
    bool inherited = false;
};

namespace {

// Gives the code of what failed, and the name of the step.
struct binding
{
    char const* step;
    error_code ec;
};

tcp::endpoint asio_endpoint(endpoint const& address)
{
    return address.to<tcp::endpoint>();
}

// Without the place in Asio's sources, which what() would show to whoever only took a wrong port.
[[noreturn]] void give_up(error_code const& ec, char const* step, endpoint const& address)
{
    throw system_error(
        error_code(ec.value(), ec.category()), std::string(step) + ' ' + address.str());
}

} // namespace

tcp_server::tcp_server(endpoint address, handler_factory<stream> handlers)
    : request_pipeline(std::move(handlers))
    , listener_(std::make_unique<listener>())
{
    if (address.family() != socketserver::address_family::ipv4 &&
        address.family() != socketserver::address_family::ipv6)
        throw std::invalid_argument(
            address.str() + ": a TCP server listens at an IPv4 or IPv6 address");
    listener_->address = std::move(address);
}

tcp_server::tcp_server(adopted listening, handler_factory<stream> handlers)
    : request_pipeline(std::move(handlers))
    , listener_(std::make_unique<listener>())
{
    listener_->adopted = listening.descriptor;
    // Asio's own are not.
    ::fcntl(listening.descriptor, F_SETFD, FD_CLOEXEC);
    sockaddr_storage storage;
    socklen_t size = sizeof storage;
    if (::getsockname(listening.descriptor, reinterpret_cast<sockaddr*>(&storage), &size) == 0)
        listener_->address = endpoint::from_native(&storage, size);
}

tcp_server::~tcp_server()
{
    if (listener_->adopted >= 0)
        ::close(listener_->adopted);
}

tcp_server::acceptor_type& tcp_server::acceptor() noexcept
{
    return listener_->acceptor;
}

int tcp_server::fileno() const noexcept
{
    return listener_->descriptor;
}

endpoint const& tcp_server::server_address() const noexcept
{
    return listener_->address;
}

socketserver::address_family tcp_server::address_family() const noexcept
{
    return listener_->address.family();
}

void tcp_server::server_bind()
{
    auto& l = *listener_;
    binding done{"", {}};
    auto const failed = [&done](char const* step) -> bool {
        done.step = step;
        return static_cast<bool>(done.ec);
    };
    auto const open = [&](tcp const& protocol) {
        // By hand, because Asio's sockets are not close-on-exec.
        int const fd = ::socket(protocol.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            done.ec.assign(errno, boost::system::system_category());
        else if (l.acceptor.assign(protocol, fd, done.ec); done.ec)
            ::close(fd);
        return !failed("socket");
    };
    auto const bind = [&](tcp::endpoint const& to) {
        if (!open(to.protocol()))
            return;
        auto& a = l.acceptor;
        if (to.protocol() == tcp::v6())
        {
            a.set_option(boost::asio::ip::v6_only(!l.address.is_dual_stack()), done.ec);
            if (failed("IPV6_V6ONLY"))
                return;
        }
        a.set_option(tcp::acceptor::reuse_address(allow_reuse_address), done.ec);
        if (failed("SO_REUSEADDR"))
            return;
        if (allow_reuse_port)
        {
            int const on = 1;
            if (::setsockopt(a.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)
                done.ec.assign(errno, boost::system::system_category());
            if (failed("SO_REUSEPORT"))
                return;
        }
        a.bind(to, done.ec);
        failed("bind");
    };

    if (l.adopted >= 0)
    {
        auto const protocol =
            l.address.family() == socketserver::address_family::ipv6 ? tcp::v6() : tcp::v4();
        l.acceptor.assign(protocol, std::exchange(l.adopted, -1), done.ec);
        failed("assign");
    }
    else
    {
        bind(asio_endpoint(l.address));
        if (done.ec && l.address.is_dual_stack() &&
            (done.ec == boost::asio::error::address_family_not_supported ||
                done.ec == boost::system::errc::address_not_available))
        {
            // No IPv6 here: every interface is every IPv4 interface.
            error_code ignored;
            l.acceptor.close(ignored);
            done.ec = {};
            bind(tcp::endpoint(tcp::v4(), l.address.port()));
        }
    }
    if (!done.ec)
    {
        // Another process may take what poll has announced.
        l.acceptor.non_blocking(true, done.ec);
        failed("non-blocking");
    }
    if (done.ec)
    {
        error_code ignored;
        l.acceptor.close(ignored);
        give_up(done.ec, done.step, l.address);
    }
    l.descriptor = l.acceptor.native_handle();
    l.address = l.address.with_port(l.acceptor.local_endpoint().port());
}

void tcp_server::server_activate()
{
    error_code ec;
    int listens = 0;
    socklen_t size = sizeof listens;
    ::getsockopt(listener_->descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
    // One that was taken over keeps its queue.
    if (listens && !request_queue_size)
        return;
    listener_->acceptor.listen(request_queue_size.value_or(SOMAXCONN), ec);
    if (ec)
        give_up(ec, "listen", listener_->address);
}

std::optional<tcp_server::accepted> tcp_server::get_request()
{
    sockaddr_storage storage;
    socklen_t size = sizeof storage;
    int const fd = ::accept4(
        listener_->descriptor, reinterpret_cast<sockaddr*>(&storage), &size, SOCK_CLOEXEC);
    if (fd < 0)
    {
        if (errno == EAGAIN)
            return std::nullopt;
        throw system_error(errno, boost::system::system_category(), "accept");
    }
    std::unique_ptr<transport> bytes;
    try
    {
        bytes = std::make_unique<socket_transport>(fd, true);
    }
    catch (...)
    {
        ::close(fd);
        throw;
    }
    return accepted{stream(std::move(bytes)), endpoint::from_native(&storage, size)};
}

void tcp_server::close_listener() noexcept
{
    auto& l = *listener_;
    int const fd = std::exchange(l.descriptor, -1);
    // The acceptor's io_context is the parent's: closing through it would reach into its set.
    if (l.inherited && fd >= 0)
        ::close(fd);
    if (l.inherited)
        return;
    error_code ignored;
    l.acceptor.close(ignored);
}

void tcp_server::after_fork(fork_role role)
{
    listener_->inherited = true;
    request_pipeline::after_fork(role);
}

} // namespace socketserver
