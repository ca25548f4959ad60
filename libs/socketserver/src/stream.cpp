// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/stream.hpp>

#include "await_context.hpp"
#include "stream_files.hpp"
#include "stream_io.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace socketserver {

using boost::system::error_code;
using boost::system::system_error;

namespace {

// A use of a stream that is not open is a mistake of the program, said as an error.
bool is_open_or(transport* bytes, error_code& ec) noexcept
{
    if (!bytes)
        ec = boost::asio::error::bad_descriptor;
    return bytes != nullptr;
}

transport& open_or_throw(std::unique_ptr<transport> const& bytes)
{
    if (!bytes)
        throw system_error(make_error_code(boost::asio::error::bad_descriptor), "stream");
    return *bytes;
}

template <class Ask>
endpoint name_by(Ask ask, int descriptor)
{
    sockaddr_storage storage;
    socklen_t size = sizeof storage;
    if (descriptor < 0 || ask(descriptor, reinterpret_cast<sockaddr*>(&storage), &size) < 0)
        return {};
    return endpoint::from_native(&storage, size);
}

} // namespace

stream::stream() noexcept = default;

stream::stream(std::unique_ptr<transport> bytes) noexcept
    : bytes_(std::move(bytes))
{
}

stream::stream(stream&&) noexcept = default;

stream& stream::operator=(stream&& other) noexcept
{
    if (this != &other)
    {
        close();
        bytes_ = std::move(other.bytes_);
    }
    return *this;
}

stream::~stream()
{
    close();
}

bool stream::is_open() const noexcept
{
    return bytes_ != nullptr;
}

void stream::close() noexcept
{
    // Before any part of it is gone: another thread may be about to abort its request.
    if (bytes_)
        bytes_->leave_request();
    bytes_.reset();
}

void stream::abort() noexcept
{
    if (bytes_)
        bytes_->interrupt();
}

stream::executor_type stream::get_executor() const
{
    return await_context().get_executor();
}

void stream::throw_if(error_code const& ec, char const* operation)
{
    if (ec)
        throw system_error(ec, operation);
}

std::size_t stream::receive(transport::mutable_buffers buffers, error_code& ec)
{
    return is_open_or(bytes_.get(), ec) ? stream_io::receive(*bytes_, buffers, ec) : 0;
}

std::size_t stream::send(transport::const_buffers buffers, error_code& ec)
{
    return is_open_or(bytes_.get(), ec) ? stream_io::send(*bytes_, buffers, ec) : 0;
}

void stream::send_all(std::string_view bytes, error_code& ec)
{
    write_some(boost::asio::const_buffer(bytes.data(), bytes.size()), ec);
}

void stream::send_all(std::string_view bytes)
{
    error_code ec;
    send_all(bytes, ec);
    throw_if(ec, "send");
}

std::uint64_t stream::send_file(int file, std::uint64_t offset, std::uint64_t count, error_code& ec)
{
    return is_open_or(bytes_.get(), ec) ? stream_io::send_file(*bytes_, file, offset, count, ec)
                                        : 0;
}

std::uint64_t stream::send_file(int file, std::uint64_t offset, std::uint64_t count)
{
    error_code ec;
    auto const n = send_file(file, offset, count, ec);
    throw_if(ec, "send_file");
    return n;
}

bool stream::try_send(std::string_view bytes) noexcept
{
    return bytes_ && stream_io::try_send(*bytes_, bytes);
}

void stream::shutdown_send(error_code& ec)
{
    ec = {};
    if (!is_open_or(bytes_.get(), ec))
        return;
    stream_io::before_wait(*bytes_, ec);
    if (!ec)
        bytes_->shutdown_send(ec);
}

void stream::shutdown_send()
{
    error_code ec;
    shutdown_send(ec);
    throw_if(ec, "shutdown_send");
}

std::istream& stream::rfile()
{
    return stream_files::of(open_or_throw(bytes_)).to_read();
}

std::ostream& stream::wfile()
{
    return stream_files::of(open_or_throw(bytes_)).to_write();
}

bool stream::read_line(std::string& line, std::size_t limit)
{
    auto& reads = stream_files::of(open_or_throw(bytes_)).reads;
    stream_io::let_others_run();
    auto const check = [&line, limit](bool may_end_in_cr) {
        auto const most = may_end_in_cr && line.ends_with('\r') ? line.size() - 1 : line.size();
        if (most > limit)
            throw system_error(
                make_error_code(boost::asio::error::message_size), "a line is too long");
    };
    line.clear();
    bool any = false;
    error_code ec;
    while (reads.fill(ec))
    {
        any = true;
        auto const ahead = reads.view();
        auto const end = ahead.find('\n');
        bool const whole = end != ahead.npos;
        line.append(ahead.substr(0, whole ? end : ahead.size()));
        reads.skip(whole ? end + 1 : ahead.size());
        check(true);
        if (whole)
        {
            if (!line.empty() && line.back() == '\r')
                line.pop_back();
            return true;
        }
    }
    throw_if(ec, "receive");
    check(false);
    return any;
}

void stream::timeout(std::optional<std::chrono::nanoseconds> limit) noexcept
{
    if (bytes_)
        bytes_->limits_.idle = limit;
}

void stream::deadline(std::optional<std::chrono::steady_clock::time_point> at) noexcept
{
    if (bytes_)
        bytes_->limits_.deadline = at;
}

void stream::buffer_sizes(std::size_t rbufsize, std::size_t wbufsize) noexcept
{
    if (!bytes_)
        return;
    constexpr std::size_t most = 1 << 20;
    bytes_->rbufsize_ = std::min(rbufsize, most);
    bytes_->wbufsize_ = std::min(wbufsize, most);
}

void stream::disable_nagle_algorithm() noexcept
{
    int const on = 1;
    // Only TCP knows it.
    ::setsockopt(native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

endpoint stream::remote_endpoint() const
{
    return name_by(::getpeername, native_handle());
}

endpoint stream::local_endpoint() const
{
    return name_by(::getsockname, native_handle());
}

std::optional<credentials> stream::peer_credentials() const noexcept
{
    return bytes_ ? bytes_->peer_credentials() : std::nullopt;
}

int stream::native_handle() const noexcept
{
    return bytes_ ? bytes_->native_handle() : -1;
}

int stream::release()
{
    if (!bytes_)
        return -1;
    error_code ec;
    stream_io::before_wait(*bytes_, ec);
    throw_if(ec, "send");
    int const descriptor = bytes_->release();
    close();
    return descriptor;
}

} // namespace socketserver
