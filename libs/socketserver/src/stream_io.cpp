// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "stream_io.hpp"

#include "current_request.hpp"
#include "strategy/coroutine_core.hpp"
#include "stream_files.hpp"

#include <boost/system/system_error.hpp>

#include <mutex>

namespace socketserver {

using boost::asio::const_buffer;
using boost::asio::mutable_buffer;
using boost::system::error_code;

// Marks a write that may wait; made under the lock, which it gives up meanwhile.
class stream_io::waiting_write
{
public:
    waiting_write(transport& bytes, std::unique_lock<std::mutex>& lock) noexcept
        : bytes_(bytes)
        , lock_(lock)
    {
        bytes_.writing_ = true;
        lock_.unlock();
    }

    ~waiting_write()
    {
        lock_.lock();
        bytes_.writing_ = false;
    }

    waiting_write(waiting_write const&) = delete;
    waiting_write& operator=(waiting_write const&) = delete;

private:
    transport& bytes_;
    std::unique_lock<std::mutex>& lock_;
};

// What was received ahead costs no wait, and a handler that never waits would keep its loop.
void stream_io::let_others_run() noexcept
{
    if (auto* const in = coroutine_scheduler::core::current())
        in->has_moved();
}

std::size_t stream_io::receive(transport& bytes, transport::mutable_buffers buffers, error_code& ec)
{
    ec = {};
    if (buffers.empty())
        return 0;
    if (auto* const files = bytes.files_.load(); files && files->reads.ahead() != 0)
    {
        let_others_run();
        if (bytes.interrupted())
        {
            ec = boost::asio::error::operation_aborted;
            return 0;
        }
        std::size_t n = 0;
        for (auto const& b : buffers)
            n += files->reads.take(b.data(), b.size());
        return n;
    }
    before_wait(bytes, ec);
    if (ec)
        return 0;
    auto const n = bytes.receive(buffers, bytes.limits_, ec);
    if (ec == boost::asio::error::eof)
        bytes.ended_ = true;
    return n;
}

std::size_t stream_io::receive_more(transport& bytes, mutable_buffer buffer, error_code& ec)
{
    ec = {};
    before_wait(bytes, ec);
    if (ec)
        return 0;
    auto const n = bytes.receive({&buffer, 1}, bytes.limits_, ec);
    if (ec == boost::asio::error::eof)
        bytes.ended_ = true;
    return n;
}

std::size_t stream_io::send(transport& bytes, transport::const_buffers buffers, error_code& ec)
{
    ec = {};
    if (buffers.empty())
        return 0;
    before_wait(bytes, ec);
    if (ec)
        return 0;
    return send_part(bytes, buffers, true, ec);
}

// Whose time to take something was up is not waited for again when it is taken leave of.
void stream_io::note_patience(transport& bytes, error_code const& ec) noexcept
{
    if (ec == boost::asio::error::timed_out)
        bytes.served_ = false;
}

std::size_t stream_io::send_part(
    transport& bytes, transport::const_buffers buffers, bool is_end, error_code& ec)
{
    const_buffer some[16];
    std::size_t count = 0;
    for (auto const& b : buffers)
        if (b.size() != 0)
            some[count++] = b;
    std::unique_lock lock(bytes.write_mutex_);
    if (bytes.writing_)
    {
        ec = boost::asio::error::in_progress;
        return 0;
    }
    bytes.message_open_ = !is_end;
    if (count == 0)
        return 0;

    // What can go at once goes under the lock, so that try_send() of others finds either nobody
    // writing or somebody who waits for the peer.
    transport::const_buffers rest(some, count);
    std::size_t done = 0;
    auto const& deadline = bytes.limits_.deadline;
    if (!bytes.interrupted() && (!deadline || time_limits::clock::now() < *deadline))
    {
        done = bytes.try_send(rest, ec);
        if (!ec && bytes.interrupted())
            ec = boost::asio::error::operation_aborted;
        if (ec)
            return 0;
        auto left = done;
        while (!rest.empty() && left >= rest.front().size())
        {
            left -= rest.front().size();
            rest = rest.subspan(1);
        }
        if (rest.empty())
            return done;
        some[count - rest.size()] += left;
    }
    waiting_write const waits(bytes, lock);
    done += bytes.send(rest, bytes.limits_, ec);
    note_patience(bytes, ec);
    return done;
}

std::uint64_t stream_io::send_file(
    transport& bytes, int file, std::uint64_t offset, std::uint64_t count, error_code& ec)
{
    ec = {};
    before_wait(bytes, ec);
    if (ec)
        return 0;
    std::unique_lock lock(bytes.write_mutex_);
    if (bytes.writing_)
    {
        ec = boost::asio::error::in_progress;
        return 0;
    }
    waiting_write const waits(bytes, lock);
    auto const n = bytes.send_file(file, offset, count, bytes.limits_, ec);
    note_patience(bytes, ec);
    return n;
}

bool stream_io::try_send(transport& bytes, std::string_view text) noexcept
{
    std::lock_guard const lock(bytes.write_mutex_);
    if (bytes.writing_ || bytes.message_open_ || bytes.interrupted())
        return false;
    const_buffer const whole(text.data(), text.size());
    error_code ec;
    auto const n = bytes.try_send({&whole, 1}, ec);
    if (n == text.size())
        return true;
    if (n != 0)
        bytes.interrupt();
    return false;
}

void stream_io::flush(transport& bytes, error_code& ec)
{
    if (auto* const files = bytes.files_.load(); files && files->writes.holds_back())
        files->writes.send({}, true, ec);
}

// Somebody who reads beside a writer must not touch what that one is writing.
void stream_io::flush_own(transport& bytes, error_code& ec)
{
    auto* const files = bytes.files_.load();
    if (!files || !files->writes.is_of_this_thread())
        return;
    // Another coroutine of this thread may be in the middle of sending it.
    if (std::unique_lock const lock(bytes.write_mutex_); bytes.writing_)
        return;
    files->writes.send({}, true, ec);
}

void stream_io::flush_and_keep(transport& bytes) noexcept
{
    error_code ec;
    flush_own(bytes, ec);
}

void stream_io::before_wait(transport& bytes, error_code& ec)
{
    flush_own(bytes, ec);
    if (ec)
        bytes.files_.load()->write_error_seen = true;
    else if (current_request)
        current_request->flush_pending();
}

void stream_io::throw_unseen_error(stream& s)
{
    auto* const bytes = of(s);
    auto const* const files = bytes ? bytes->files_.load() : nullptr;
    if (!files)
        return;
    error_code unseen;
    if (files->reads.kept() && !files->in.bad() && !files->read_error_seen)
        unseen = files->reads.kept();
    else if (files->writes.kept() && !files->out.bad() && !files->write_error_seen)
        unseen = files->writes.kept();
    if (unseen)
        throw boost::system::system_error(unseen, "an error that the standard library had caught");
}

void stream_io::attach(stream& s, active_request& request) noexcept
{
    if (!s.bytes_)
        return;
    request.attach(*s.bytes_);
    s.bytes_->counts_ = &request.counts();
}

void stream_io::detach(stream& s) noexcept
{
    if (s.bytes_)
        s.bytes_->leave_request();
}

void stream_io::mark_served(stream& s) noexcept
{
    if (s.bytes_)
        s.bytes_->served_ = true;
}

void stream_io::linger(stream& s) noexcept
{
    if (s.bytes_ && !s.bytes_->ended_)
        s.bytes_->linger(s.bytes_->served_);
}

} // namespace socketserver
