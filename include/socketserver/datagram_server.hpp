// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_DATAGRAM_SERVER_HPP
#define SOCKETSERVER_DATAGRAM_SERVER_HPP

#include <socketserver/config.hpp>
#include <socketserver/datagram.hpp>
#include <socketserver/request_pipeline.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace boost::asio {

class any_io_executor;

template <typename Protocol, typename Executor>
class basic_datagram_socket;

namespace ip {
class udp;
}

namespace local {
class datagram_protocol;
}

} // namespace boost::asio

namespace socketserver {

/** A server of datagrams, over an Asio socket: what @ref udp_server and @ref unix_datagram_server
    have in common.

    Every datagram is a request, an empty one too. All requests answer through the one socket: when
    the server is closed it receives nothing any more, but stays open until the last of them has
    ended.

    Attributes are read when the server is bound, unless they say otherwise: set them in the
    constructor of a derived class, or make the server with `defer_activation`.

    @tparam Protocol The protocol of the socket, such as `boost::asio::ip::udp`.
*/
template <class Protocol>
class datagram_server : public request_pipeline<datagram>
{
public:
    /** The type of the Asio object behind it. */
    using socket_type_of_asio =
        boost::asio::basic_datagram_socket<Protocol, boost::asio::any_io_executor>;

    /** A server of an address.

        @param address Where to receive.
        @param handlers What handles the datagrams: `handler<H>`, `handler<H>(args...)` or a
        callable that takes a `datagram&`.
        @throws std::invalid_argument The address is not one of the protocol's.
    */
    datagram_server(endpoint address, handler_factory<datagram> handlers);

    /** A server that takes over a socket which is already bound.

        @param bound The Asio socket; closed afterwards. Its options stay as they are, and so does
        the file of a Unix socket when the server is closed.
        @param handlers What handles the datagrams.
    */
    template <class SocketProtocol, class Executor>
    datagram_server(boost::asio::basic_datagram_socket<SocketProtocol, Executor>&& bound,
        handler_factory<datagram> handlers)
        : datagram_server(adopted{bound.release()}, std::move(handlers))
    {
    }

    ~datagram_server() override;

    /** @name Attributes */
    /** @{ */

    /** Whether several sockets may be bound to the address (SO_REUSEADDR), of which one gets what
        comes. Off, unlike for connections: two servers would otherwise start at one address, and
        neither would hear of the other. Means nothing to a Unix socket. */
    bool allow_reuse_address = false;

    /** Whether several servers may share what comes to the address (SO_REUSEPORT). Means nothing to
        a Unix socket. */
    bool allow_reuse_port = false;

    /** The most bytes of a datagram that are received; of a longer one the rest is lost, and
        `datagram::truncated()` says so. The default holds any UDP datagram, and any that a Unix
        socket sends with the system's default limits. Read before the first request. */
    std::size_t max_packet_size = 256 * 1024;

    /** @} */

    /** Return the Asio object behind the server, to set and get options.

        Its class is complete only with `<boost/asio/ip/udp.hpp>`, or with
        `<boost/asio/local/datagram_protocol.hpp>` for a Unix socket.

        @return The socket. Its `io_context` is not run.
    */
    socket_type_of_asio& socket() noexcept;

    int fileno() const noexcept override;
    endpoint const& server_address() const noexcept override;
    void server_bind() override;

    /** Does nothing: a socket that is bound receives. */
    void server_activate() override;
    std::optional<accepted> get_request() override;

    /** Return the family of the addresses that the server serves.

        @return The family of @ref server_address.
    */
    socketserver::address_family address_family() const noexcept;

    /** Return the type of the socket.

        @return `SOCK_DGRAM` of `<sys/socket.h>`.
    */
    int socket_type() const noexcept;

protected:
    /** Bind the server; what @ref server_bind does.

        @param mode The permissions of the file of a Unix socket; none for what the umask leaves.
    */
    void bind_socket(std::optional<unsigned> mode);

    std::size_t left_in_queue() noexcept override;
    void close_listener() noexcept override;
    void after_fork(fork_role role) override;

private:
    struct adopted
    {
        int descriptor;
    };

    datagram_server(adopted bound, handler_factory<datagram> handlers);

    struct receiver;
    std::unique_ptr<receiver> receiver_;
};

extern template class SOCKETSERVER_DECL datagram_server<boost::asio::ip::udp>;
extern template class SOCKETSERVER_DECL datagram_server<boost::asio::local::datagram_protocol>;

/** A server of UDP datagrams, over `boost::asio::ip::udp::socket`.

    @code
    socketserver::threading_udp_server server("127.0.0.1:8009",
        [](socketserver::datagram& d) { d.wfile() << d.packet().size() << " bytes\n"; });
    @endcode

    It receives at an address of IPv4 or IPv6; at port 0 the system chooses one, which
    `server_address()` tells. The address of a sender can be forged: an answer that is longer than
    its question can be turned against others. See Python's `socketserver.UDPServer`.
*/
class SOCKETSERVER_DECL udp_server : public datagram_server<boost::asio::ip::udp>
{
public:
    using datagram_server::datagram_server;
};

/** A server of datagrams over a Unix socket, over
    `boost::asio::local::datagram_protocol::socket`.

    Its address and its file are as those of @ref unix_stream_server. A client that wants an answer
    binds a name of its own, which @ref datagram_client does. See Python's
    `socketserver.UnixDatagramServer`.
*/
class SOCKETSERVER_DECL unix_datagram_server
    : public datagram_server<boost::asio::local::datagram_protocol>
{
public:
    using datagram_server::datagram_server;

    /** The permissions of the file, such as 0660; none for what the umask leaves. Who may send
        needs the right to write. They hold before anybody can send. Read when the server is bound;
        means nothing to an abstract name. */
    std::optional<unsigned> mode;

    void server_bind() override;
};

} // namespace socketserver

#endif
