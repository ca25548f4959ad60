// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/memory_transport.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace socketserver {

using boost::system::error_code;

memory_transport::memory_transport(std::string input, std::shared_ptr<record> into,
    std::size_t fails, std::size_t piece, error_code error)
    : input_(std::move(input))
    , record_(into ? std::move(into) : std::make_shared<record>())
    , fails_(fails)
    , piece_(piece)
    , error_(error)
{
}

memory_transport::~memory_transport()
{
    close();
}

bool memory_transport::fails(error_code& ec)
{
    ++record_->operations;
    if (interrupted())
        ec = boost::asio::error::operation_aborted;
    else if (fails_ != 0 && record_->operations >= fails_)
        ec = error_;
    return static_cast<bool>(ec);
}

std::size_t memory_transport::receive(
    mutable_buffers buffers, time_limits const& limits, error_code& ec)
{
    ec = {};
    if (fails(ec))
        return 0;
    if (limits.deadline && *limits.deadline <= time_limits::clock::now())
    {
        ec = boost::asio::error::timed_out;
        return 0;
    }
    auto most = input_.size() - read_;
    if (piece_ != 0)
        most = std::min(most, piece_);
    if (most == 0)
    {
        ec = boost::asio::error::eof;
        return 0;
    }
    std::size_t done = 0;
    for (auto const& b : buffers)
    {
        auto const n = std::min(b.size(), most - done);
        std::memcpy(b.data(), input_.data() + read_, n);
        read_ += n;
        done += n;
    }
    return done;
}

std::size_t memory_transport::send(const_buffers buffers, time_limits const& limits, error_code& ec)
{
    ec = {};
    if (limits.deadline && *limits.deadline <= time_limits::clock::now())
    {
        ec = boost::asio::error::timed_out;
        return 0;
    }
    return try_send(buffers, ec);
}

std::size_t memory_transport::try_send(const_buffers buffers, error_code& ec)
{
    if (fails(ec))
        return 0;
    std::size_t done = 0;
    for (auto const& b : buffers)
    {
        record_->output.append(static_cast<char const*>(b.data()), b.size());
        done += b.size();
    }
    return done;
}

void memory_transport::shutdown_send(error_code& ec)
{
    ec = {};
    record_->send_shut_down = true;
}

void memory_transport::linger(bool) noexcept {}

void memory_transport::close() noexcept
{
    record_->closed = true;
}

int memory_transport::native_handle() const noexcept
{
    return -1;
}

int memory_transport::release() noexcept
{
    return -1;
}

std::optional<credentials> memory_transport::peer_credentials() const noexcept
{
    return peer;
}

void memory_transport::wake() noexcept {}

} // namespace socketserver
