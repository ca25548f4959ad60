// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "datagram_transport.hpp"

#include "wait_for_room.hpp"

#include <cstring>
#include <netinet/in.h>

namespace socketserver {

using boost::system::error_code;

namespace {

// How the kernel calls a user that it does not know or cannot name here.
constexpr uid_t nobody = 65534;

// As a socket of both families takes it.
peer_address native(endpoint const& to, int socket)
{
    peer_address result;
    result.size = static_cast<socklen_t>(to.size());
    std::memcpy(&result.storage, to.data(), to.size());
    if (to.family() != address_family::ipv4)
        return result;
    int domain = 0;
    socklen_t size = sizeof domain;
    ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    if (domain != AF_INET6)
        return result;
    sockaddr_in v4;
    std::memcpy(&v4, to.data(), sizeof v4);
    sockaddr_in6 mapped{};
    mapped.sin6_family = AF_INET6;
    mapped.sin6_port = v4.sin_port;
    mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
    std::memcpy(mapped.sin6_addr.s6_addr + 12, &v4.sin_addr, sizeof v4.sin_addr);
    std::memcpy(&result.storage, &mapped, sizeof mapped);
    result.size = sizeof mapped;
    return result;
}

} // namespace

void datagram_transport::note(msghdr& received) noexcept
{
    for (auto* part = CMSG_FIRSTHDR(&received); part; part = CMSG_NXTHDR(&received, part))
    {
        auto const is = [part](int level, int type) {
            return part->cmsg_level == level && part->cmsg_type == type;
        };
        auto const answer_from = [this, part](auto where) {
            auto* const header = reinterpret_cast<cmsghdr*>(asked_);
            *header = *part;
            std::memcpy(CMSG_DATA(header), &where, sizeof where);
            asked_size_ = CMSG_SPACE(sizeof where);
        };
        if (is(SOL_SOCKET, SCM_CREDENTIALS))
        {
            ucred u;
            std::memcpy(&u, CMSG_DATA(part), sizeof u);
            // Of what was sent before the socket wanted to know, the kernel knows nobody.
            if (u.pid != 0 || u.uid != nobody)
                vouched = credentials{u.pid, u.uid, u.gid};
        }
        else if (is(IPPROTO_IP, IP_PKTINFO))
        {
            in_pktinfo to;
            std::memcpy(&to, CMSG_DATA(part), sizeof to);
            to.ipi_ifindex = 0;
            answer_from(to);
        }
        else if (is(IPPROTO_IPV6, IPV6_PKTINFO))
        {
            in6_pktinfo to;
            std::memcpy(&to, CMSG_DATA(part), sizeof to);
            if (!IN6_IS_ADDR_LINKLOCAL(&to.ipi6_addr))
                to.ipi6_ifindex = 0;
            if (!IN6_IS_ADDR_MULTICAST(&to.ipi6_addr))
                answer_from(to);
        }
    }
}

std::size_t datagram_transport::receive(mutable_buffers buffers, time_limits const&, error_code& ec)
{
    std::size_t n = 0;
    for (auto const& b : buffers)
    {
        auto const some = packet.copy(static_cast<char*>(b.data()), b.size(), read_);
        read_ += some;
        n += some;
    }
    ec = {};
    if (interrupted())
        ec = boost::asio::error::operation_aborted;
    else if (n == 0)
        ec = boost::asio::error::eof;
    return ec ? 0 : n;
}

std::size_t datagram_transport::send(const_buffers buffers, time_limits const&, error_code& ec)
{
    return try_send(buffers, ec);
}

std::size_t datagram_transport::try_send(const_buffers buffers, error_code& ec)
{
    ec = {};
    std::size_t n = 0;
    for (auto const& b : buffers)
    {
        collected_.append(static_cast<char const*>(b.data()), b.size());
        n += b.size();
    }
    return n;
}

void datagram_transport::shutdown_send(error_code& ec)
{
    ec = {};
}

void datagram_transport::linger(bool) noexcept {}

void datagram_transport::close() noexcept {}

// The socket is not its own.
int datagram_transport::native_handle() const noexcept
{
    return -1;
}

int datagram_transport::release() noexcept
{
    return -1;
}

// A wait for room looks now and then whether it was interrupted.
void datagram_transport::wake() noexcept {}

void datagram_transport::finish(error_code& ec)
{
    if (!collected_.empty())
        answer(collected_, ec);
    collected_.clear();
}

void datagram_transport::answer(std::string_view message, error_code& ec)
{
    ec = {};
    // A Unix socket without a name has no address but the family.
    if (sender.size > sizeof(sa_family_t))
        send_to(sender, true, message, ec);
    // The Unix socket of a client that has gone, or its file: like any other peer that went away.
    using namespace boost::system::errc;
    if (ec == connection_refused || ec == no_such_file_or_directory)
        ec = boost::asio::error::connection_reset;
}

void datagram_transport::send_to(endpoint const& to, std::string_view message, error_code& ec)
{
    send_to(native(to, socket_), false, message, ec);
}

void datagram_transport::send_to(
    peer_address const& to, bool is_answer, std::string_view message, error_code& ec)
{
    ec = {};
    iovec part{const_cast<char*>(message.data()), message.size()};
    msghdr whole{};
    whole.msg_name = const_cast<sockaddr_storage*>(&to.storage);
    whole.msg_namelen = to.size;
    whole.msg_iov = &part;
    whole.msg_iovlen = 1;
    // Somebody else may be where the address that was asked does not lead, or of another family.
    if (is_answer && asked_size_ != 0)
    {
        whole.msg_control = asked_;
        whole.msg_controllen = asked_size_;
    }
    wait_for_room(*this, answers.until(), ec, [&]() -> ssize_t {
        if (!instead)
            return ::sendmsg(socket_, &whole, MSG_DONTWAIT | MSG_NOSIGNAL);
        ec = instead(endpoint::from_native(to.data(), to.size), message);
        return 0;
    });
    if (!ec)
        count_sent(message.size());
}

} // namespace socketserver
