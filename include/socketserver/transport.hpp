// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TRANSPORT_HPP
#define SOCKETSERVER_TRANSPORT_HPP

#include <socketserver/config.hpp>
#include <socketserver/credentials.hpp>
#include <socketserver/interruptible.hpp>
#include <socketserver/time_after.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

namespace socketserver {

class request_counts;
class request_parcel;
class stream;
class stream_files;
class stream_io;

/** How long the operations of a stream may wait.

    Both limits end an operation with `boost::asio::error::timed_out`. None is set by default, as
    in Python.
*/
struct time_limits
{
    /** The clock that deadlines are read on; it never jumps. */
    using clock = std::chrono::steady_clock;

    /** The longest one operation may wait without moving a byte. */
    std::optional<std::chrono::nanoseconds> idle;

    /** When the whole conversation must have ended. */
    std::optional<clock::time_point> deadline;

    /** Return when an operation that begins now must have ended.

        @return The earlier of both limits; `clock::time_point::max()` where there is none.
    */
    clock::time_point until() const noexcept
    {
        auto const end = deadline.value_or(clock::time_point::max());
        return idle ? std::min(end, time_after(*idle)) : end;
    }
};

/** How the bytes of a stream wait and move.

    Behind every @ref stream there is one. A socket waits in the kernel, or suspends the coroutine
    that it is used in; @ref memory_transport has no peer but the test that made it. A layer that
    changes bytes, such as TLS, wraps another transport.

    @par Thread safety
    One thread may receive while another sends. `interrupt()` and `try_send()` may be called from
    any thread at any time during the life of the object.
*/
class SOCKETSERVER_DECL transport : public interruptible
{
public:
    /** Buffers to fill. */
    using mutable_buffers = std::span<boost::asio::mutable_buffer const>;

    /** Bytes to send. */
    using const_buffers = std::span<boost::asio::const_buffer const>;

    /** An empty transport. */
    transport() noexcept;

    ~transport() override;

    /** Receive at least one byte, waiting for it.

        @param buffers Where the bytes go; at least one byte long in all.
        @param limits How long to wait.
        @param ec Set to `boost::asio::error::eof` when the peer sends no more, to `timed_out`,
        to `operation_aborted` after @ref interrupt, or to what the system says.
        @return How many bytes came; 0 on an error.
    */
    virtual std::size_t receive(
        mutable_buffers buffers, time_limits const& limits, boost::system::error_code& ec) = 0;

    /** Send all bytes, waiting as long as the peer makes progress.

        @param buffers The bytes.
        @param limits How long to wait; the idle limit begins anew with every progress.
        @param ec As for @ref receive, without `eof`.
        @return How many bytes went; all of them when `ec` is clear.
    */
    virtual std::size_t send(
        const_buffers buffers, time_limits const& limits, boost::system::error_code& ec) = 0;

    /** Send what can be sent without waiting.

        @param buffers The bytes.
        @param ec What the system said; clear when it merely took nothing.
        @return How many bytes went.

        @par Thread safety
        Any thread, but never while another sends.
    */
    virtual std::size_t try_send(const_buffers buffers, boost::system::error_code& ec) = 0;

    /** Send a part of a file, without copying it through the program where that is possible.

        The default reads the file and sends what it read.

        @param file A descriptor open for reading; its position does not matter and does not
        change, unless it is one that cannot be positioned, such as a pipe.
        @param offset Where to begin, in bytes.
        @param count How many bytes to send at most; fewer are sent when the file ends.
        @param limits How long to wait; the idle limit begins anew with every progress.
        @param ec As for @ref send; also what reading the file said.
        @return How many bytes went.
    */
    virtual std::uint64_t send_file(int file, std::uint64_t offset, std::uint64_t count,
        time_limits const& limits, boost::system::error_code& ec);

    /** Tell the peer that nothing more will be sent.

        @param ec What the system said.
    */
    virtual void shutdown_send(boost::system::error_code& ec) = 0;

    /** Take leave of the peer, so that it gets all that was sent.

        @param may_wait Whether to wait for the peer at all.
    */
    virtual void linger(bool may_wait) noexcept = 0;

    /** Give back the descriptor; nothing else works afterwards. */
    virtual void close() noexcept = 0;

    /** Return the descriptor.

        @return The descriptor, or -1 where there is none.
    */
    virtual int native_handle() const noexcept = 0;

    /** Give the descriptor away.

        @return The descriptor, in blocking mode and without time limits of ours, or -1.
    */
    virtual int release() noexcept = 0;

    /** Return who the peer is, as the kernel vouches for it.

        The default asks the kernel for the peer of @ref native_handle.

        @return The process and its user; none where this is no Unix socket.
    */
    virtual std::optional<credentials> peer_credentials() const noexcept;

protected:
    /** Count what came from the peer, if a server counts it.

        @param n How many bytes.
    */
    void count_received(std::size_t n) noexcept;

    /** Count what went to the peer, if a server counts it.

        @param n How many bytes.

        @par Thread safety
        Any thread.
    */
    void count_sent(std::size_t n) noexcept;

private:
    friend class request_parcel;
    friend class stream;
    friend class stream_files;
    friend class stream_io;

    void left_request() noexcept override;
    void flush_pending() noexcept final;
    int waits_for() const noexcept final;

    // What follows belongs to the stream.
    bool served_ = false;
    bool ended_ = false;
    bool writing_ = false;
    bool message_open_ = false;
    std::mutex write_mutex_;
    time_limits limits_;
    std::atomic<stream_files*> files_{nullptr};
    std::size_t rbufsize_ = 8192;
    std::size_t wbufsize_ = 8192;
    std::atomic<request_counts*> counts_{nullptr};
};

} // namespace socketserver

#endif
