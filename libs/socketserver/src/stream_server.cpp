// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/stream_server.hpp>

#include "bound_socket.hpp"
#include "socket_transport.hpp"
#include "written_page.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/system/system_error.hpp>

#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace socketserver {

using boost::system::error_code;
using boost::system::system_error;

template <class Protocol>
struct stream_server<Protocol>::listener : on_written_page
{
    endpoint address;
    bound_socket<acceptor_type> socket;
};

template <class Protocol>
stream_server<Protocol>::stream_server(endpoint address, handler_factory<stream> handlers)
    : request_pipeline(std::move(handlers))
    , listener_(std::make_unique<listener>())
{
    bound_socket<acceptor_type>::check(address);
    listener_->address = std::move(address);
}

template <class Protocol>
stream_server<Protocol>::stream_server(adopted listening, handler_factory<stream> handlers)
    : request_pipeline(std::move(handlers))
    , listener_(std::make_unique<listener>())
{
    listener_->address = listener_->socket.adopt(listening.descriptor);
}

template <class Protocol>
stream_server<Protocol>::~stream_server() = default;

template <class Protocol>
typename stream_server<Protocol>::acceptor_type& stream_server<Protocol>::acceptor() noexcept
{
    return listener_->socket.asio();
}

template <class Protocol>
int stream_server<Protocol>::fileno() const noexcept
{
    return listener_->socket.descriptor();
}

template <class Protocol>
endpoint const& stream_server<Protocol>::server_address() const noexcept
{
    return listener_->address;
}

template <class Protocol>
socketserver::address_family stream_server<Protocol>::address_family() const noexcept
{
    return listener_->address.family();
}

template <class Protocol>
int stream_server<Protocol>::socket_type() const noexcept
{
    return SOCK_STREAM;
}

template <class Protocol>
void stream_server<Protocol>::server_bind()
{
    bind_listener({});
}

template <class Protocol>
void stream_server<Protocol>::bind_listener(std::optional<unsigned> mode)
{
    auto& l = *listener_;
    l.address = l.socket.bind(l.address, {allow_reuse_address, allow_reuse_port, mode});
}

template <class Protocol>
void stream_server<Protocol>::server_activate()
{
    auto& l = *listener_;
    int listens = 0;
    socklen_t size = sizeof listens;
    ::getsockopt(l.socket.descriptor(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
    // One that was taken over keeps its queue.
    if (!listens || request_queue_size)
    {
        error_code ec;
        l.socket.asio().listen(request_queue_size.value_or(SOMAXCONN), ec);
        if (ec)
            l.socket.give_up(ec, "listen", l.address);
    }
    l.socket.serves();
}

template <class Protocol>
std::optional<typename stream_server<Protocol>::accepted> stream_server<Protocol>::get_request()
{
    sockaddr_storage storage;
    socklen_t size = sizeof storage;
    int const fd = ::accept4(
        listener_->socket.descriptor(), reinterpret_cast<sockaddr*>(&storage), &size, SOCK_CLOEXEC);
    if (fd < 0)
    {
        if (errno == EAGAIN)
            return std::nullopt;
        throw system_error(errno, boost::system::system_category(), "accept");
    }
    std::unique_ptr<transport> bytes;
    try
    {
        bytes = std::make_unique<socket_transport>(fd, bound_socket<acceptor_type>::is_ip);
    }
    catch (...)
    {
        ::close(fd);
        throw;
    }
    return accepted{stream(std::move(bytes)), endpoint::from_native(&storage, size)};
}

// Who is in the queue of a socket that is closed is cut off anyway.
template <class Protocol>
std::size_t stream_server<Protocol>::left_in_queue() noexcept
{
    auto const& socket = listener_->socket;
    std::size_t n = 0;
    while (socket.is_own() && n < longest_queue)
    {
        int const fd = ::accept4(socket.descriptor(), nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0)
            break;
        ::close(fd);
        ++n;
    }
    return n;
}

template <class Protocol>
void stream_server<Protocol>::close_listener() noexcept
{
    listener_->socket.close();
}

template <class Protocol>
void stream_server<Protocol>::after_fork(fork_role role)
{
    listener_->socket.inherit();
    request_pipeline::after_fork(role);
}

template class stream_server<boost::asio::ip::tcp>;
template class stream_server<boost::asio::local::stream_protocol>;

void unix_stream_server::server_bind()
{
    bind_listener(mode);
}

} // namespace socketserver
