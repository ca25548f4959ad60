// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STREAM_HPP
#define SOCKETSERVER_STREAM_HPP

#include <socketserver/config.hpp>
#include <socketserver/credentials.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/time_after.hpp>
#include <socketserver/transport.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <limits>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

namespace socketserver {

/** One connection: what a stream handler holds, and what @ref connect gives a client.

    Models Asio's *SyncReadStream* and *SyncWriteStream*, so that `asio::write`,
    `asio::read_until`, `asio::ssl::stream<stream&>` and Beast's blocking calls work on it,
    whatever runs the handler: in a coroutine an operation suspends that coroutine alone.

    An operation that may fail comes in a pair: one throws `boost::system::system_error`, the other
    sets an `error_code`. What @ref wfile holds back is sent before any operation that waits.

    @par Thread safety
    Distinct objects: safe. Shared objects: one thread may read while another writes; @ref abort
    and @ref try_send may be called from any thread. What @ref wfile holds back goes before a wait
    of the thread that wrote it. Whoever shares a stream sees to it that it is still there.
*/
class SOCKETSERVER_DECL stream
{
public:
    /** The type of the executor. */
    using executor_type = boost::asio::any_io_executor;

    /** The stream itself: nothing lies below that Asio would need to know. */
    using lowest_layer_type = stream;

    /** A stream that is not open. */
    stream() noexcept;

    /** A stream over a transport.

        @param bytes How its bytes wait and move; one without a value makes a stream that is not
        open.
    */
    explicit stream(std::unique_ptr<transport> bytes) noexcept;

    /** Take over a connection.

        @param other Not open afterwards.
    */
    stream(stream&& other) noexcept;

    /** Close this connection and take over another.

        @param other Not open afterwards.
        @return This stream.
    */
    stream& operator=(stream&& other) noexcept;

    /** Close the connection. */
    ~stream();

    /** Return whether there is a connection.

        @return False before one was given, after it was closed, released or moved away.
    */
    bool is_open() const noexcept;

    /** Close the connection. What @ref wfile holds back is dropped. */
    void close() noexcept;

    /** Make every operation on this stream fail with `operation_aborted`, the pending ones too.

        The connection is shut down in both directions; bytes that had arrived are not handed out
        any more.

        @par Thread safety
        Any thread.
    */
    void abort() noexcept;

    /** Return an executor for those who ask a stream for one.

        The operations of a stream complete before they return and need none.

        @return @ref this_request::get_executor.
    */
    executor_type get_executor() const;

    /** Return the stream itself.

        @return This stream.
    */
    lowest_layer_type& lowest_layer() noexcept { return *this; }

    /** Return the stream itself.

        @return This stream.
    */
    lowest_layer_type const& lowest_layer() const noexcept { return *this; }

    /** @name Moving bytes */
    /** @{ */

    /** Receive some bytes, waiting for the first.

        Bytes that @ref rfile has read ahead come first.

        @param buffers Where they go.
        @param ec Set to `boost::asio::error::eof` when the peer sends no more, to `timed_out` when
        a limit was reached, to `operation_aborted` after @ref abort.
        @return How many bytes came; 0 on an error, and where the buffers have no room.
    */
    template <class MutableBufferSequence>
    std::size_t read_some(MutableBufferSequence const& buffers, boost::system::error_code& ec)
    {
        some<boost::asio::mutable_buffer> const b(buffers);
        return receive({b.first, b.count}, ec);
    }

    /** Receive some bytes, waiting for the first.

        @param buffers Where they go.
        @return How many bytes came.
        @throws boost::system::system_error What the other form sets.
    */
    template <class MutableBufferSequence>
    std::size_t read_some(MutableBufferSequence const& buffers)
    {
        boost::system::error_code ec;
        auto const n = read_some(buffers, ec);
        throw_if(ec, "receive");
        return n;
    }

    /** Send bytes, waiting until the system has taken them.

        @param buffers The bytes; at most sixteen buffers are looked at.
        @param ec Set to `timed_out` when the peer took nothing for as long as the idle limit, or
        the deadline has come; to `operation_aborted` after @ref abort; to `in_progress` where
        another thread is writing.
        @return How many bytes went: all of those sixteen buffers when `ec` is clear.
    */
    template <class ConstBufferSequence>
    std::size_t write_some(ConstBufferSequence const& buffers, boost::system::error_code& ec)
    {
        some<boost::asio::const_buffer> const b(buffers);
        return send({b.first, b.count}, ec);
    }

    /** Send bytes, waiting until the system has taken them.

        @param buffers The bytes; at most sixteen buffers are looked at.
        @return How many bytes went.
        @throws boost::system::system_error What the other form sets.
    */
    template <class ConstBufferSequence>
    std::size_t write_some(ConstBufferSequence const& buffers)
    {
        boost::system::error_code ec;
        auto const n = write_some(buffers, ec);
        throw_if(ec, "send");
        return n;
    }

    /** Send all of a text.

        @param bytes The text.
        @param ec As for @ref write_some.
    */
    void send_all(std::string_view bytes, boost::system::error_code& ec);

    /** Send all of a text.

        @param bytes The text.
        @throws boost::system::system_error As for @ref write_some.
    */
    void send_all(std::string_view bytes);

    /** Send a part of a file, by the kernel alone where the connection allows it.

        @param file A descriptor open for reading; its position does not matter.
        @param offset Where to begin, in bytes.
        @param count How many bytes at most; fewer go when the file ends.
        @param ec As for @ref write_some, and what reading the file said.
        @return How many bytes went.
    */
    std::uint64_t send_file(
        int file, std::uint64_t offset, std::uint64_t count, boost::system::error_code& ec);

    /** Send a part of a file, by the kernel alone where the connection allows it.

        @param file A descriptor open for reading; its position does not matter.
        @param offset Where to begin, in bytes.
        @param count How many bytes at most; fewer go when the file ends.
        @return How many bytes went.
        @throws boost::system::system_error What the other form sets.
    */
    std::uint64_t send_file(int file, std::uint64_t offset = 0,
        std::uint64_t count = (std::numeric_limits<std::uint64_t>::max)());

    /** Send a text at once, whole or not at all.

        The one way to write to the stream of another request: it never waits and is never mixed
        with another write. May be called with a lock of yours held.

        @param bytes The text.
        @return True when the system took all of it; false when it took nothing: the peer reads too
        slowly, a write waits for it, the stream is closed or aborted, or the handler has written
        more to @ref wfile than its buffer holds and not yet flushed it. When the system took only a
        part, which nothing could mend, the stream is aborted and false returned.

        @par Thread safety
        Any thread of the process that serves the stream.
    */
    bool try_send(std::string_view bytes) noexcept;

    /** Tell the peer that nothing more will be sent; reading goes on.

        What @ref wfile holds back is sent before.

        @param ec What the system said.
    */
    void shutdown_send(boost::system::error_code& ec);

    /** Tell the peer that nothing more will be sent; reading goes on.

        @throws boost::system::system_error What the other form sets.
    */
    void shutdown_send();

    /** @} */
    /** @name Reading and writing as a standard stream */
    /** @{ */

    /** Return a standard stream that reads from the connection.

        Its end is the peer's end. What goes wrong is thrown as `boost::system::system_error` by
        the operation that meets it, and again by every later one. Where the standard library
        catches what a stream buffer throws (`wfile() << rfile().rdbuf()` does), it is thrown when
        the handler ends.

        The buffer, 8 KB unless the handler asked for another size, is made on first use.

        @return The stream; it lives as long as the connection is in this object or one that it was
        moved to.
    */
    std::istream& rfile();

    /** Return a standard stream that writes to the connection.

        What was written is sent when the buffer is full, on `std::flush`, and before the request
        waits for anything or ends; a dialogue needs no flush. Errors are as for @ref rfile.

        @return The stream; it lives as long as the connection is in this object or one that it was
        moved to.
    */
    std::ostream& wfile();

    /** Read one line of bounded length.

        @param line The line, without its end (LF or CR LF); after an error, what had come of it.
        @param limit The most bytes a line may have.
        @return False when the peer had ended before a byte came; a last line without an end is a
        line.
        @throws boost::system::system_error As for @ref read_some, and like that it may be tried
        again; `message_size` for a longer line, the rest of which is read by the next call.
    */
    bool read_line(std::string& line, std::size_t limit = 65536);

    /** @} */
    /** @name Limits */
    /** @{ */

    /** Set the longest time that an operation may wait without moving a byte.

        @param limit The time; none for as long as it takes.
    */
    void timeout(std::optional<std::chrono::nanoseconds> limit) noexcept;

    /** Set when the whole conversation must have ended.

        From then on every operation that waits fails: nothing can be sent either, unless the
        deadline is moved, for a last word for example. What @ref wfile holds back then is lost.

        @param at The time; none for never.
    */
    void deadline(std::optional<std::chrono::steady_clock::time_point> at) noexcept;

    /** Set when the whole conversation must have ended, counted from now.

        @code
        s.deadline(std::chrono::seconds(5)); // for a whole line, in however many pieces it comes
        s.read_line(line);
        s.deadline({}); // what follows may take its time
        @endcode

        @param from_now The time from now on.
    */
    template <class Rep, class Period>
    void deadline(std::chrono::duration<Rep, Period> from_now) noexcept
    {
        deadline(time_after(std::chrono::duration_cast<std::chrono::nanoseconds>(from_now)));
    }

    /** Set the sizes of the buffers of @ref rfile and @ref wfile; before their first use. More than
        1 MiB is taken for 1 MiB.

        @param rbufsize Bytes to read ahead at most; 0 reads byte by byte.
        @param wbufsize Bytes to hold back at most; 0 sends every insertion at once.
    */
    void buffer_sizes(std::size_t rbufsize, std::size_t wbufsize) noexcept;

    /** Send small pieces at once (TCP_NODELAY). Without effect where it has no meaning. */
    void disable_nagle_algorithm() noexcept;

    /** @} */
    /** @name The connection itself */
    /** @{ */

    /** Return where the peer is.

        @return Its endpoint; none when it has no name or has gone, or the stream is not open.
    */
    endpoint remote_endpoint() const;

    /** Return where this side is.

        @return Its endpoint; none when it has no name or the stream is not open.
    */
    endpoint local_endpoint() const;

    /** Return who the peer is, as the kernel vouches for it.

        @return The process and its user; none where this is no Unix socket.
    */
    std::optional<credentials> peer_credentials() const noexcept;

    /** Return the descriptor, for what this class does not offer.

        @return The descriptor, or -1 where there is none. It stays the stream's.
    */
    int native_handle() const noexcept;

    /** Give the connection away: the stream is not open afterwards and closes nothing.

        For example, to go on with Asio's own socket:

        @code
        boost::asio::ip::tcp::socket socket(context, boost::asio::ip::tcp::v4(), s.release());
        @endcode

        What @ref wfile holds back is sent before. What @ref rfile has read ahead stays behind.

        @return The descriptor, in blocking mode and close-on-exec, or -1.
        @throws boost::system::system_error What was held back could not be sent.
    */
    int release();

    /** @} */

private:
    friend class active_request;
    friend class stream_io;

    // The first buffers of a sequence: what one system call takes.
    template <class Buffer>
    struct some
    {
        static constexpr std::size_t most = 16;

        template <class Sequence>
        explicit some(Sequence const& sequence)
        {
            auto const end = boost::asio::buffer_sequence_end(sequence);
            for (auto i = boost::asio::buffer_sequence_begin(sequence); i != end && count < most;
                 ++i)
            {
                if (Buffer const b(*i); b.size() != 0)
                    first[count++] = b;
            }
        }

        Buffer first[most];
        std::size_t count = 0;
    };

    static void throw_if(boost::system::error_code const& ec, char const* operation);

    std::size_t receive(transport::mutable_buffers buffers, boost::system::error_code& ec);
    std::size_t send(transport::const_buffers buffers, boost::system::error_code& ec);

    std::unique_ptr<transport> bytes_;
};

} // namespace socketserver

#endif
