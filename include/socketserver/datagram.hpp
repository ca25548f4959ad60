// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_DATAGRAM_HPP
#define SOCKETSERVER_DATAGRAM_HPP

#include <socketserver/config.hpp>
#include <socketserver/credentials.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/stream.hpp>

#include <chrono>
#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <string_view>

namespace socketserver {

class datagram_transport;

/** One received datagram, and the way to answer it: what a datagram handler holds.

    The datagram lies in memory: reading it never waits. What is written to @ref wfile is collected
    and sent as one datagram when the handler ends; nothing is sent where nothing was written.
    @ref send answers at once, and as often as it is called.

    An answer goes through the server's own socket, so that it comes from the address that the client
    has asked, and still goes when the server has been closed meanwhile.

    An operation that may fail comes in a pair: one throws `boost::system::system_error`, the other
    sets an `error_code`.

    @par Thread safety
    Distinct objects: safe. Shared objects: unsafe, but for @ref abort.
*/
class SOCKETSERVER_DECL datagram
{
public:
    /** A datagram that is none. */
    datagram() noexcept;

    /** Take over a datagram.

        @param other None afterwards.
    */
    datagram(datagram&& other) noexcept;

    /** Drop this datagram and take over another.

        @param other None afterwards.
        @return This datagram.
    */
    datagram& operator=(datagram&& other) noexcept;

    /** Drop the datagram. */
    ~datagram();

    /** Return whether there is a datagram.

        @return False before one was given, after it was closed or moved away.
    */
    bool is_open() const noexcept;

    /** Drop the datagram. What @ref wfile has collected is dropped. */
    void close() noexcept;

    /** Return what was received.

        @return The bytes, none for an empty datagram; they live as long as the datagram is in this
        object or one that it was moved to.
    */
    std::string_view packet() const noexcept;

    /** Return whether the datagram was longer than the server's `max_packet_size`.

        @return Whether bytes at the end of it are lost.
    */
    bool truncated() const noexcept;

    /** Return who sent the datagram.

        @return The endpoint; none for a Unix socket without a name, which cannot be answered.
    */
    endpoint sender() const;

    /** Return who sent the datagram, as the kernel vouches for it.

        @return The process and its user; none where the datagram did not come by a Unix socket.
    */
    std::optional<credentials> peer_credentials() const noexcept;

    /** Return a standard stream that reads the datagram.

        @return The stream; it lives as long as the datagram is in this object or one that it was
        moved to.
    */
    std::istream& rfile();

    /** Return a standard stream that collects the answer.

        It is sent when the handler has ended, after it has thrown as well.

        @return The stream; it lives as long as the datagram is in this object or one that it was
        moved to.
    */
    std::ostream& wfile();

    /** Answer the datagram at once.

        Waits while there is no room for an answer, at most as long as @ref timeout says. An answer
        to a client without a name goes nowhere.

        @param answer One datagram.
        @param ec Set to `timed_out` when there was no room for as long as the limit, to
        `operation_aborted` after @ref abort, to `message_size` for an answer longer than a datagram
        can be, to `connection_refused` where a Unix client is gone, or to what else the system says.
    */
    void send(std::string_view answer, boost::system::error_code& ec);

    /** Answer the datagram at once.

        @param answer One datagram.
        @throws boost::system::system_error What the other form sets.
    */
    void send(std::string_view answer);

    /** Send a datagram to somebody else, from the server's address.

        @param to Where to.
        @param message One datagram.
        @param ec As for @ref send.
    */
    void send_to(endpoint const& to, std::string_view message, boost::system::error_code& ec);

    /** Send a datagram to somebody else, from the server's address.

        @param to Where to.
        @param message One datagram.
        @throws boost::system::system_error What the other form sets.
    */
    void send_to(endpoint const& to, std::string_view message);

    /** Set how long sending may wait for room: the system's, or that of a Unix client which does not
        read.

        @param limit The time; none for as long as it takes. One second by default.
    */
    void timeout(std::optional<std::chrono::nanoseconds> limit) noexcept;

    /** Make every operation on this datagram fail with `operation_aborted`, the pending one too.

        @par Thread safety
        Any thread.
    */
    void abort() noexcept;

    /** Return the descriptor of the server's socket, for what this class does not offer.

        @return The descriptor, or -1 where there is no datagram. It stays the server's.
    */
    int native_handle() const noexcept;

private:
    friend class datagram_transport;
    friend class datagram_request_handler;
    friend class stream_io;

    explicit datagram(std::unique_ptr<datagram_transport> bytes) noexcept;

    // What wfile has collected is sent.
    void finish(boost::system::error_code& ec);

    datagram_transport* bytes() const noexcept;

    // Its transport holds the datagram and collects the answer.
    stream memory_;
};

} // namespace socketserver

#endif
