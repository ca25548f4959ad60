// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/transport.hpp>

#include "request_counts.hpp"
#include "stream_files.hpp"
#include "stream_io.hpp"

#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>

namespace socketserver {

transport::transport() noexcept = default;

transport::~transport()
{
    delete files_.load();
}

void transport::count_received(std::size_t n) noexcept
{
    if (auto* const counts = counts_.load(std::memory_order_relaxed))
        counts->add(request_counts::bytes_received, n);
}

void transport::count_sent(std::size_t n) noexcept
{
    if (auto* const counts = counts_.load(std::memory_order_relaxed))
        counts->add(request_counts::bytes_sent, n);
}

void transport::left_request() noexcept
{
    counts_ = nullptr;
}

void transport::flush_pending() noexcept
{
    stream_io::flush_and_keep(*this);
}

int transport::waits_for() const noexcept
{
    return native_handle();
}

std::optional<credentials> transport::peer_credentials() const noexcept
{
    // A socket of another family gives credentials of nobody.
    int domain = 0;
    ucred peer;
    socklen_t domain_size = sizeof domain;
    socklen_t size = sizeof peer;
    int const fd = native_handle();
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) < 0 || domain != AF_UNIX ||
        ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return std::nullopt;
    return credentials{peer.pid, peer.uid, peer.gid};
}

std::uint64_t transport::send_file(int file, std::uint64_t offset, std::uint64_t count,
    time_limits const& limits, boost::system::error_code& ec)
{
    ec = {};
    auto const buffer = std::make_unique_for_overwrite<char[]>(65536);
    std::uint64_t done = 0;
    while (done < count && !ec)
    {
        auto const most = static_cast<std::size_t>(std::min<std::uint64_t>(count - done, 65536));
        auto n = ::pread(file, buffer.get(), most, static_cast<off_t>(offset + done));
        if (n < 0 && errno == ESPIPE)
            n = ::read(file, buffer.get(), most);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            ec.assign(errno, boost::system::system_category());
        if (n <= 0)
            break;
        boost::asio::const_buffer const piece(buffer.get(), static_cast<std::size_t>(n));
        done += send({&piece, 1}, limits, ec);
    }
    return done;
}

} // namespace socketserver
