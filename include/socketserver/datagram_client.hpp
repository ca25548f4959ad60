// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_DATAGRAM_CLIENT_HPP
#define SOCKETSERVER_DATAGRAM_CLIENT_HPP

#include <socketserver/config.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/transport.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace socketserver {

/** A client of a datagram server: sends to it, and receives from it alone.

    @code
    socketserver::datagram_client client("127.0.0.1:8009");
    client.timeout(std::chrono::seconds(1));
    client.send("are you there?");
    std::cout << client.receive() << '\n';
    @endcode

    A Unix client is given an abstract name by the system, so that it can be answered.

    Made within a request it waits as that request waits: in a coroutine it suspends only it, and an
    abort of the request wakes it. It then belongs to that request and must not outlive it, nor be
    used by another thread.

    An operation that may fail comes in a pair: one throws `boost::system::system_error`, the other
    sets an `error_code`.

    @par Thread safety
    Distinct objects: safe. Shared objects: one thread may send while another receives; @ref abort
    may be called from any thread.
*/
class SOCKETSERVER_DECL datagram_client
{
public:
    /** A client of a server.

        @param server Where the server receives. Nothing is sent to find out whether it does.
        @throws boost::system::system_error What went wrong, naming the endpoint: a Unix server that
        is not there is noticed now.
    */
    explicit datagram_client(endpoint const& server);

    /** Take over a client.

        @param other Of no use afterwards but to be assigned to.
    */
    datagram_client(datagram_client&& other) noexcept;

    /** Close this client and take over another.

        @param other Of no use afterwards but to be assigned to.
        @return This client.
    */
    datagram_client& operator=(datagram_client&& other) noexcept;

    /** Close the client. */
    ~datagram_client();

    /** Send a datagram.

        @param message The datagram; may be empty.
        @param ec Set to `message_size` where it is longer than a datagram can be, to
        `connection_refused` where the system has learned that nobody receives there, to `timed_out`
        when there was no room for as long as the limit, to `operation_aborted` after @ref abort.
    */
    void send(std::string_view message, boost::system::error_code& ec);

    /** Send a datagram.

        @param message The datagram; may be empty.
        @throws boost::system::system_error What the other form sets.
    */
    void send(std::string_view message);

    /** Receive a datagram, waiting for it.

        @param ec Set to `timed_out` when none came for as long as the limit, to
        `connection_refused` where the system has learned that nobody receives there, to
        `operation_aborted` after @ref abort.
        @return The datagram; what is longer than @ref max_packet_size is cut off.
    */
    std::string receive(boost::system::error_code& ec);

    /** Receive a datagram, waiting for it.

        @return The datagram; what is longer than @ref max_packet_size is cut off.
        @throws boost::system::system_error What the other form sets.
    */
    std::string receive();

    /** Set how long an operation may wait; none, the default, for as long as it takes. A datagram
        may get lost, and then waiting for an answer has no end.

        @param limit The time.
    */
    void timeout(std::optional<std::chrono::nanoseconds> limit) noexcept;

    /** Make every operation fail with `operation_aborted`, the pending ones too.

        @par Thread safety
        Any thread.
    */
    void abort() noexcept;

    /** Return where this side is.

        @return Its endpoint.
    */
    endpoint local_endpoint() const;

    /** Return the descriptor, for what this class does not offer.

        @return The descriptor. It stays the client's.
    */
    int native_handle() const noexcept;

    /** The most bytes of a datagram that are received. */
    std::size_t max_packet_size = 256 * 1024;

private:
    void close() noexcept;

    std::unique_ptr<transport> bytes_;
    time_limits limits_;
    std::unique_ptr<char[]> buffer_;
    std::size_t buffer_size_ = 0;
};

} // namespace socketserver

#endif
