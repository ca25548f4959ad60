// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STREAM_IO_HPP
#define SOCKETSERVER_SRC_STREAM_IO_HPP

#include <socketserver/active_request.hpp>
#include <socketserver/datagram.hpp>
#include <socketserver/stream.hpp>
#include <socketserver/transport.hpp>

namespace socketserver {

// What a stream, its standard streams and its request do with a transport: bytes move through here
// only, so that what was written is sent before anything waits, and writes are never mixed.
class stream_io
{
public:
    // Receives, after what rfile has read ahead.
    static std::size_t receive(
        transport& bytes, transport::mutable_buffers buffers, boost::system::error_code& ec);

    // Receives from the connection itself.
    static std::size_t receive_more(
        transport& bytes, boost::asio::mutable_buffer buffer, boost::system::error_code& ec);

    // Sends, after what wfile holds back.
    static std::size_t send(
        transport& bytes, transport::const_buffers buffers, boost::system::error_code& ec);

    // Sends as a part of something, or as its end: nothing of others comes in between.
    static std::size_t send_part(transport& bytes, transport::const_buffers buffers, bool is_end,
        boost::system::error_code& ec);

    static std::uint64_t send_file(transport& bytes, int file, std::uint64_t offset,
        std::uint64_t count, boost::system::error_code& ec);

    static bool try_send(transport& bytes, std::string_view text) noexcept;

    // Sends what wfile holds back.
    static void flush(transport& bytes, boost::system::error_code& ec);

    // Sends what this thread has written to wfile.
    static void flush_own(transport& bytes, boost::system::error_code& ec);

    // The same, with an error left for the next use of wfile.
    static void flush_and_keep(transport& bytes) noexcept;

    // Sends what the current request holds back, and what this one does.
    static void before_wait(transport& bytes, boost::system::error_code& ec);

    // Throws what was caught by the standard library, where a stream buffer had thrown it.
    static void throw_unseen_error(stream& s);

    static void attach(stream& s, active_request& request) noexcept;
    static void detach(stream& s) noexcept;
    static void mark_served(stream& s) noexcept;
    static transport* of(stream const& s) noexcept { return s.bytes_.get(); }

    // What a request reads from and writes to.
    static stream& bytes_of(datagram& d) noexcept { return d.memory_; }
    static stream& bytes_of(stream& s) noexcept { return s; }

    // Takes leave as shutdown_request() does.
    static void linger(stream& s) noexcept;

    // Called by what may be done over and over without a wait.
    static void let_others_run() noexcept;

private:
    class waiting_write;

    static void note_patience(transport& bytes, boost::system::error_code const& ec) noexcept;
};

} // namespace socketserver

#endif
