// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STREAM_SERVER_HPP
#define SOCKETSERVER_STREAM_SERVER_HPP

#include <socketserver/config.hpp>
#include <socketserver/request_pipeline.hpp>
#include <socketserver/stream.hpp>

#include <memory>
#include <optional>
#include <utility>

namespace boost::asio {

class any_io_executor;

template <typename Protocol, typename Executor>
class basic_socket_acceptor;

namespace ip {
class tcp;
}

namespace local {
class stream_protocol;
}

} // namespace boost::asio

namespace socketserver {

/** A server of connections, over an Asio acceptor: what @ref tcp_server and
    @ref unix_stream_server have in common.

    Attributes are read when the server is bound: set them in the constructor of a derived class, or
    make the server with `defer_activation`.

    @tparam Protocol The protocol of the acceptor, such as `boost::asio::ip::tcp`.
*/
template <class Protocol>
class stream_server : public request_pipeline<stream>
{
public:
    /** The type of the Asio object behind it. */
    using acceptor_type =
        boost::asio::basic_socket_acceptor<Protocol, boost::asio::any_io_executor>;

    /** A server of an address.

        @param address Where to listen.
        @param handlers What handles the connections: `handler<H>`, `handler<H>(args...)` or a
        callable that takes a `stream&`.
        @throws std::invalid_argument The address is not one of the protocol's.
    */
    stream_server(endpoint address, handler_factory<stream> handlers);

    /** A server that takes over an acceptor which already listens.

        @param listening The Asio acceptor; closed afterwards. Its options stay as they are, and so
        does the file of a Unix socket when the server is closed.
        @param handlers What handles the connections.
    */
    template <class AcceptorProtocol, class Executor>
    stream_server(boost::asio::basic_socket_acceptor<AcceptorProtocol, Executor>&& listening,
        handler_factory<stream> handlers)
        : stream_server(adopted{listening.release()}, std::move(handlers))
    {
    }

    ~stream_server() override;

    /** @name Attributes */
    /** @{ */

    /** Whether an address may be bound although old connections of it linger (SO_REUSEADDR). Means
        nothing to a Unix socket. */
    bool allow_reuse_address = true;

    /** Whether several servers may listen at the same address (SO_REUSEPORT). Means nothing to a
        Unix socket. */
    bool allow_reuse_port = false;

    /** How many connections may wait to be accepted; none for as many as the system allows. */
    std::optional<int> request_queue_size;

    /** @} */

    /** Return the Asio object behind the server, to set and get options.

        Its class is complete only with `<boost/asio/ip/tcp.hpp>`, or with
        `<boost/asio/local/stream_protocol.hpp>` for a Unix socket.

        @return The acceptor. Its `io_context` is not run.
    */
    acceptor_type& acceptor() noexcept;

    int fileno() const noexcept override;
    endpoint const& server_address() const noexcept override;
    void server_bind() override;
    void server_activate() override;
    std::optional<accepted> get_request() override;

    /** Return the family of the addresses that the server serves.

        @return The family of @ref server_address.
    */
    socketserver::address_family address_family() const noexcept;

    /** Return the type of the socket.

        @return `SOCK_STREAM` of `<sys/socket.h>`.
    */
    int socket_type() const noexcept;

protected:
    /** Bind the server; what @ref server_bind does.

        @param mode The permissions of the file of a Unix socket; none for what the umask leaves.
    */
    void bind_listener(std::optional<unsigned> mode);

    std::size_t left_in_queue() noexcept override;
    void close_listener() noexcept override;
    void after_fork(fork_role role) override;

private:
    struct adopted
    {
        int descriptor;
    };

    stream_server(adopted listening, handler_factory<stream> handlers);

    struct listener;
    std::unique_ptr<listener> listener_;
};

extern template class SOCKETSERVER_DECL stream_server<boost::asio::ip::tcp>;
extern template class SOCKETSERVER_DECL stream_server<boost::asio::local::stream_protocol>;

/** A server of TCP connections, over `boost::asio::ip::tcp::acceptor`.

    @code
    socketserver::threading_tcp_server server("127.0.0.1:8009", socketserver::handler<greeter>);
    @endcode

    It listens at an address of IPv4 or IPv6; at port 0 the system chooses one, which
    `server_address()` tells. To be used with a strategy and within @ref ready; `servers.hpp` has the
    ready names. See Python's `socketserver.TCPServer`.
*/
class SOCKETSERVER_DECL tcp_server : public stream_server<boost::asio::ip::tcp>
{
public:
    using stream_server::stream_server;
};

/** A server of connections over a Unix socket, over
    `boost::asio::local::stream_protocol::acceptor`.

    @code
    socketserver::threading_unix_stream_server server("unix:/run/greeter.sock",
        socketserver::handler<greeter>);
    @endcode

    It listens at a path (`unix:/run/app.sock`) or an abstract name (`unix:@name`). Binding replaces
    the file of a server that was killed: a socket of the same user's that refuses connections.
    Anything else at that path is left alone, and binding fails with `address_in_use`. The file is
    removed when the process that has bound the server closes it, if it is still the one that the
    server has made. Who a client is `stream::peer_credentials()` tells, in `verify_request` too. See
    Python's `socketserver.UnixStreamServer`.
*/
class SOCKETSERVER_DECL unix_stream_server
    : public stream_server<boost::asio::local::stream_protocol>
{
public:
    using stream_server::stream_server;

    /** The permissions of the file, such as 0660; none for what the umask leaves. Who may connect
        needs the right to write. They hold before anybody can connect. Read when the server is
        bound; means nothing to an abstract name. */
    std::optional<unsigned> mode;

    void server_bind() override;
};

} // namespace socketserver

#endif
