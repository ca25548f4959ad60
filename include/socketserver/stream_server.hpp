// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STREAM_SERVER_HPP
#define SOCKETSERVER_STREAM_SERVER_HPP

#include <socketserver/config.hpp>
#include <socketserver/request_pipeline.hpp>

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

} // namespace boost::asio

namespace socketserver {

/** A server of TCP connections, over an Asio acceptor.

    @code
    socketserver::threading_tcp_server server("127.0.0.1:8009", socketserver::handler<greeter>);
    @endcode

    To be used with a strategy and within @ref ready; `servers.hpp` has the ready names. Attributes
    are read when the server is bound: set them in the constructor of a derived class, or make the
    server with `defer_activation`. See Python's `socketserver.TCPServer`.
*/
class SOCKETSERVER_DECL tcp_server : public request_pipeline<stream>
{
public:
    /** The type of the Asio object behind it: `boost::asio::ip::tcp::acceptor`. */
    using acceptor_type =
        boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, boost::asio::any_io_executor>;

    /** A server of an address.

        @param address Where to listen; port 0 lets the system choose.
        @param handlers What handles the connections: `handler<H>`, `handler<H>(args...)` or a
        callable that takes a `stream&`.
        @throws std::invalid_argument The address is not one of IPv4 or IPv6.
    */
    tcp_server(endpoint address, handler_factory<stream> handlers);

    /** A server that takes over an acceptor which already listens.

        @param listening The Asio acceptor; closed afterwards. Its options stay as they are.
        @param handlers What handles the connections.
    */
    template <class Protocol, class Executor>
    tcp_server(boost::asio::basic_socket_acceptor<Protocol, Executor>&& listening,
        handler_factory<stream> handlers)
        : tcp_server(adopted{listening.release()}, std::move(handlers))
    {
    }

    ~tcp_server() override;

    /** @name Attributes */
    /** @{ */

    /** Whether an address may be bound although old connections of it linger (SO_REUSEADDR). */
    bool allow_reuse_address = true;

    /** Whether several servers may listen at the same address (SO_REUSEPORT). */
    bool allow_reuse_port = false;

    /** How many connections may wait to be accepted; none for as many as the system allows. */
    std::optional<int> request_queue_size;

    /** @} */

    /** Return the Asio object behind the server, to set and get options.

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

protected:
    void close_listener() noexcept override;
    void after_fork(fork_role role) override;

private:
    struct adopted
    {
        int descriptor;
    };

    tcp_server(adopted listening, handler_factory<stream> handlers);

    struct listener;
    std::unique_ptr<listener> listener_;
};

} // namespace socketserver

#endif
