// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_DATAGRAM_TRANSPORT_HPP
#define SOCKETSERVER_SRC_DATAGRAM_TRANSPORT_HPP

#include <socketserver/credentials.hpp>
#include <socketserver/datagram.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/transport.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace socketserver {

class request_parcel;

// The native address of a peer, as the server's own socket takes it.
struct peer_address
{
    sockaddr_storage storage;
    socklen_t size = 0;

    sockaddr* data() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
    sockaddr const* data() const noexcept { return reinterpret_cast<sockaddr const*>(&storage); }
};

// A datagram as the bytes of a stream: what was received is read, and what is written is collected.
// Only answers leave, through a socket that all requests of the server share.
class datagram_transport final : public transport
{
public:
    // The socket stays open as long as something answers through it.
    datagram_transport(std::shared_ptr<void> keeps_open, int socket) noexcept
        : keeps_open_(std::move(keeps_open))
        , socket_(socket)
    {
    }

    static datagram make(std::unique_ptr<datagram_transport> bytes) noexcept
    {
        return datagram(std::move(bytes));
    }

    // Nothing where the datagram is none.
    static datagram_transport* of(datagram const& d) noexcept { return d.bytes(); }

    std::size_t receive(
        mutable_buffers buffers, time_limits const& limits, boost::system::error_code& ec) override;
    std::size_t send(
        const_buffers buffers, time_limits const& limits, boost::system::error_code& ec) override;
    std::size_t try_send(const_buffers buffers, boost::system::error_code& ec) override;
    void shutdown_send(boost::system::error_code& ec) override;
    void linger(bool may_wait) noexcept override;
    void close() noexcept override;
    int native_handle() const noexcept override;
    int release() noexcept override;

    int socket() const noexcept { return socket_; }

    // Sends what has been collected.
    void finish(boost::system::error_code& ec);

    // Sends a datagram through the socket.
    void answer(std::string_view message, boost::system::error_code& ec);
    void send_to(endpoint const& to, std::string_view message, boost::system::error_code& ec);

    // Notes what the system says beside a datagram: where it was sent to, and who sent it.
    void note(msghdr& received) noexcept;

    std::string packet;
    peer_address sender;
    std::optional<credentials> vouched;
    bool truncated = false;
    // What takes the place of the socket, in a test without one.
    std::function<boost::system::error_code(endpoint const& to, std::string_view message)> instead;
    time_limits answers{std::chrono::seconds(1), {}};

    // Room for what note() looks for and for nothing else: descriptors that somebody sends along are
    // closed by the kernel.
    static constexpr std::size_t note_size =
        CMSG_SPACE(std::max({sizeof(in_pktinfo), sizeof(in6_pktinfo), sizeof(ucred)}));

    // The most bytes that the address which was asked takes.
    static constexpr std::size_t asked_size = CMSG_SPACE(sizeof(in6_pktinfo));

private:
    friend class request_parcel;

    void wake() noexcept override;
    void send_to(peer_address const& to, bool is_answer, std::string_view message,
        boost::system::error_code& ec);

    std::shared_ptr<void> keeps_open_;
    int socket_;
    std::size_t read_ = 0;
    // The address that was asked, where the socket has several: an answer comes from it.
    alignas(cmsghdr) char asked_[asked_size];
    std::size_t asked_size_ = 0;
    std::string collected_;
};

} // namespace socketserver

#endif
