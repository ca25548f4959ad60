// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_MEMORY_TRANSPORT_HPP
#define SOCKETSERVER_MEMORY_TRANSPORT_HPP

#include <socketserver/credentials.hpp>
#include <socketserver/transport.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

namespace socketserver {

/** A connection in memory, for testing handlers without a socket.

    It hands out a prepared input and collects the output. Every receive and every send is an
    operation; the Nth can be made to fail, so that a test may let the first, the second, the third
    ... fail until none does:

    @code
    for (std::size_t n = 1;; ++n)
    {
        auto record = std::make_shared<memory_transport::record>();
        stream s(std::make_unique<memory_transport>("input", record, n));
        // drive the handler
        if (record->operations < n)
            break; // nothing failed this time
    }
    @endcode
*/
class SOCKETSERVER_DECL memory_transport final : public transport
{
public:
    /** What happened, for the test to look at after the stream is gone. */
    struct record
    {
        /** What was sent. */
        std::string output;

        /** How many receives and sends were tried. */
        std::size_t operations = 0;

        /** Whether sending was shut down. */
        bool send_shut_down = false;

        /** Whether the connection was closed. */
        bool closed = false;
    };

    /** Make a connection.

        @param input What the peer sends before it ends.
        @param into Where to note what happens; may be empty.
        @param fails Which operation fails, counted from 1, and every one after it; 0 for none.
        @param piece The most bytes that one receive hands out; 0 for as many as fit.
        @param error What it fails with: `timed_out` for a client that is too slow, for example.
    */
    explicit memory_transport(std::string input, std::shared_ptr<record> into = {},
        std::size_t fails = 0, std::size_t piece = 0,
        boost::system::error_code error = boost::asio::error::connection_reset);

    /** Who the peer is said to be; none by default, as of a TCP connection. Set before the
        transport is given to its stream. */
    std::optional<credentials> peer;

    /** Close the connection. */
    ~memory_transport() override;

    /** @copydoc transport::receive */
    std::size_t receive(
        mutable_buffers buffers, time_limits const& limits, boost::system::error_code& ec) override;

    /** @copydoc transport::send */
    std::size_t send(
        const_buffers buffers, time_limits const& limits, boost::system::error_code& ec) override;

    /** @copydoc transport::try_send */
    std::size_t try_send(const_buffers buffers, boost::system::error_code& ec) override;

    /** @copydoc transport::shutdown_send */
    void shutdown_send(boost::system::error_code& ec) override;

    /** @copydoc transport::linger */
    void linger(bool may_wait) noexcept override;

    /** @copydoc transport::close */
    void close() noexcept override;

    /** @copydoc transport::native_handle */
    int native_handle() const noexcept override;

    /** @copydoc transport::release */
    int release() noexcept override;

    /** Return @ref peer.

        @return The peer.
    */
    std::optional<credentials> peer_credentials() const noexcept override;

private:
    void wake() noexcept override;
    bool fails(boost::system::error_code& ec);

    std::string input_;
    std::size_t read_ = 0;
    std::shared_ptr<record> record_;
    std::size_t fails_;
    std::size_t piece_;
    boost::system::error_code error_;
};

} // namespace socketserver

#endif
