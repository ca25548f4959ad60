// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_MEMORY_DATAGRAM_HPP
#define SOCKETSERVER_MEMORY_DATAGRAM_HPP

#include <socketserver/config.hpp>
#include <socketserver/credentials.hpp>
#include <socketserver/datagram.hpp>
#include <socketserver/endpoint.hpp>

#include <boost/asio/error.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace socketserver {

/** A datagram in memory, for testing handlers without a socket.

    It holds a prepared packet and collects what is sent: the answers, and what goes to others. Each
    is an operation, and the Nth can be made to fail.

    @code
    auto record = std::make_shared<memory_datagram::record>();
    memory_datagram d("1 2 3", "192.0.2.1:50000", record);
    server.finish_request(d, d.sender()); // makes a handler and lets it handle
    // record->sent[0].text is the answer
    @endcode
*/
class SOCKETSERVER_DECL memory_datagram : public datagram
{
public:
    /** One datagram that was sent. */
    struct message
    {
        /** Where to: for an answer, the sender. */
        endpoint to;

        /** What was sent. */
        std::string text;
    };

    /** What happened, for the test to look at after the datagram is gone. */
    struct record
    {
        /** What was sent, in order. */
        std::vector<message> sent;

        /** How many datagrams were tried to send. */
        std::size_t operations = 0;
    };

    /** Make a datagram.

        @param packet What was received.
        @param sender Who sent it; without an address, an answer goes nowhere, as to a Unix client
        that has no name.
        @param into Where to note what happens; may be empty.
        @param fails Which sending fails, counted from 1, and every one after it; 0 for none.
        @param error What it fails with: `connection_refused` for a Unix client that is gone, for
        example.
    */
    memory_datagram(std::string packet, endpoint const& sender, std::shared_ptr<record> into = {},
        std::size_t fails = 0,
        boost::system::error_code error = boost::asio::error::connection_refused);

    /** Say who has sent it, as the kernel would of a datagram that came by a Unix socket.

        @param who The sender.
    */
    void vouch_for(credentials const& who) noexcept;

    /** Say that it was longer than the server's `max_packet_size`. */
    void cut_off() noexcept;
};

} // namespace socketserver

#endif
