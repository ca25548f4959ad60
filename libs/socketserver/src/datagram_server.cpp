// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/datagram_server.hpp>

#include "bound_socket.hpp"
#include "datagram_transport.hpp"
#include "request_counts.hpp"

#include <socketserver/log.hpp>

#include <boost/asio/ip/udp.hpp>
#include <boost/asio/local/datagram_protocol.hpp>
#include <boost/system/system_error.hpp>

#include <cerrno>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <utility>

namespace socketserver {

using boost::system::system_error;

template <class Protocol>
struct datagram_server<Protocol>::receiver
{
    endpoint address;
    std::shared_ptr<bound_socket<socket_type_of_asio>> socket =
        std::make_shared<bound_socket<socket_type_of_asio>>();
    // Shared with the requests, which answer through the socket: the last of them closes it.
    std::shared_ptr<void> open;
    std::unique_ptr<char[]> buffer;
    std::size_t size = 0;
    bool truncation_said = false;
};

template <class Protocol>
datagram_server<Protocol>::datagram_server(endpoint address, handler_factory<datagram> handlers)
    : request_pipeline(std::move(handlers))
    , receiver_(std::make_unique<receiver>())
{
    bound_socket<socket_type_of_asio>::check(address);
    receiver_->address = std::move(address);
}

template <class Protocol>
datagram_server<Protocol>::datagram_server(adopted bound, handler_factory<datagram> handlers)
    : request_pipeline(std::move(handlers))
    , receiver_(std::make_unique<receiver>())
{
    receiver_->address = receiver_->socket->adopt(bound.descriptor);
}

template <class Protocol>
datagram_server<Protocol>::~datagram_server() = default;

template <class Protocol>
typename datagram_server<Protocol>::socket_type_of_asio&
datagram_server<Protocol>::socket() noexcept
{
    return receiver_->socket->asio();
}

template <class Protocol>
int datagram_server<Protocol>::fileno() const noexcept
{
    return receiver_->open ? receiver_->socket->descriptor() : -1;
}

template <class Protocol>
endpoint const& datagram_server<Protocol>::server_address() const noexcept
{
    return receiver_->address;
}

template <class Protocol>
socketserver::address_family datagram_server<Protocol>::address_family() const noexcept
{
    return receiver_->address.family();
}

template <class Protocol>
int datagram_server<Protocol>::socket_type() const noexcept
{
    return SOCK_DGRAM;
}

template <class Protocol>
void datagram_server<Protocol>::server_bind()
{
    bind_socket({});
}

template <class Protocol>
void datagram_server<Protocol>::bind_socket(std::optional<unsigned> mode)
{
    auto& r = *receiver_;
    r.address = r.socket->bind(r.address, {allow_reuse_address, allow_reuse_port, mode});
    r.open = std::shared_ptr<void>(r.socket.get(), [socket = r.socket](void*) { socket->close(); });
    r.socket->serves();
    // What is to be noted beside each datagram; without it, answers go all the same.
    auto const want = [fd = r.socket->descriptor()](int level, int option) {
        int const on = 1;
        ::setsockopt(fd, level, option, &on, sizeof on);
    };
    if (!r.socket->is_ip)
        want(SOL_SOCKET, SO_PASSCRED);
    else if (r.address.family() == socketserver::address_family::ipv6)
        want(IPPROTO_IPV6, IPV6_RECVPKTINFO);
    else
        want(IPPROTO_IP, IP_PKTINFO);
}

template <class Protocol>
void datagram_server<Protocol>::server_activate()
{
}

template <class Protocol>
std::optional<typename datagram_server<Protocol>::accepted> datagram_server<Protocol>::get_request()
{
    auto& r = *receiver_;
    if (!r.buffer)
    {
        r.size = max_packet_size;
        // Not cleared: what no datagram fills costs no memory.
        r.buffer.reset(new char[r.size]);
    }
    auto bytes = std::make_unique<datagram_transport>(r.open, r.socket->descriptor());

    iovec part{r.buffer.get(), r.size};
    alignas(cmsghdr) char control[datagram_transport::note_size];
    msghdr message{};
    message.msg_name = &bytes->sender.storage;
    message.msg_namelen = sizeof bytes->sender.storage;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto const n = ::recvmsg(r.socket->descriptor(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
    {
        if (errno == EAGAIN)
            return std::nullopt;
        throw system_error(errno, boost::system::system_category(), "receive");
    }
    this->counts().add(request_counts::bytes_received, static_cast<std::size_t>(n));
    bytes->sender.size = message.msg_namelen;
    bytes->packet.assign(r.buffer.get(), static_cast<std::size_t>(n));
    bytes->truncated = message.msg_flags & MSG_TRUNC;
    bytes->note(message);
    if (bytes->truncated && !std::exchange(r.truncation_said, true))
        log(log_severity::warning, r.address.str() + ": a datagram was longer than " +
                                       std::to_string(r.size) + " bytes; the rest is lost");
    auto client = endpoint::from_native(&bytes->sender.storage, message.msg_namelen);
    return accepted{datagram_transport::make(std::move(bytes)), std::move(client)};
}

template <class Protocol>
std::size_t datagram_server<Protocol>::left_in_queue() noexcept
{
    auto& r = *receiver_;
    std::size_t n = 0;
    char byte;
    while (r.socket->is_own() && n < longest_queue &&
           ::recv(r.socket->descriptor(), &byte, 1, MSG_DONTWAIT) >= 0)
        ++n;
    return n;
}

template <class Protocol>
void datagram_server<Protocol>::close_listener() noexcept
{
    auto& r = *receiver_;
    r.socket->remove_file();
    r.open.reset();
}

template <class Protocol>
void datagram_server<Protocol>::after_fork(fork_role role)
{
    receiver_->socket->inherit();
    request_pipeline::after_fork(role);
}

template class datagram_server<boost::asio::ip::udp>;
template class datagram_server<boost::asio::local::datagram_protocol>;

void unix_datagram_server::server_bind()
{
    bind_socket(mode);
}

} // namespace socketserver
