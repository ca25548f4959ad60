// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/datagram.hpp>

#include "datagram_transport.hpp"
#include "stream_io.hpp"

#include <boost/system/system_error.hpp>

#include <utility>

namespace socketserver {

using boost::system::error_code;
using boost::system::system_error;

datagram::datagram() noexcept = default;

datagram::datagram(std::unique_ptr<datagram_transport> bytes) noexcept
    : memory_(std::move(bytes))
{
}

datagram::datagram(datagram&&) noexcept = default;

datagram& datagram::operator=(datagram&&) noexcept = default;

datagram::~datagram() = default;

datagram_transport* datagram::bytes() const noexcept
{
    return static_cast<datagram_transport*>(stream_io::of(memory_));
}

bool datagram::is_open() const noexcept
{
    return memory_.is_open();
}

void datagram::close() noexcept
{
    memory_.close();
}

std::string_view datagram::packet() const noexcept
{
    return bytes() ? std::string_view(bytes()->packet) : std::string_view();
}

bool datagram::truncated() const noexcept
{
    return bytes() && bytes()->truncated;
}

endpoint datagram::sender() const
{
    return bytes() ? endpoint::from_native(bytes()->sender.data(), bytes()->sender.size)
                   : endpoint();
}

std::optional<credentials> datagram::peer_credentials() const noexcept
{
    return bytes() ? bytes()->vouched : std::nullopt;
}

std::istream& datagram::rfile()
{
    return memory_.rfile();
}

std::ostream& datagram::wfile()
{
    return memory_.wfile();
}

void datagram::send(std::string_view answer, error_code& ec)
{
    if (auto* const b = bytes())
        b->answer(answer, ec);
    else
        ec = boost::asio::error::bad_descriptor;
}

void datagram::send(std::string_view answer)
{
    error_code ec;
    send(answer, ec);
    if (ec)
        throw system_error(ec, "send");
}

void datagram::send_to(endpoint const& to, std::string_view message, error_code& ec)
{
    if (auto* const b = bytes())
        b->send_to(to, message, ec);
    else
        ec = boost::asio::error::bad_descriptor;
}

void datagram::send_to(endpoint const& to, std::string_view message)
{
    error_code ec;
    send_to(to, message, ec);
    if (ec)
        throw system_error(ec, "send to " + to.str());
}

void datagram::timeout(std::optional<std::chrono::nanoseconds> limit) noexcept
{
    if (auto* const b = bytes())
        b->answers.idle = limit;
}

void datagram::abort() noexcept
{
    memory_.abort();
}

int datagram::native_handle() const noexcept
{
    return bytes() ? bytes()->socket() : -1;
}

void datagram::finish(error_code& ec)
{
    ec = {};
    auto* const b = bytes();
    if (!b)
        return;
    stream_io::flush(*b, ec);
    if (!ec)
        b->finish(ec);
}

} // namespace socketserver
