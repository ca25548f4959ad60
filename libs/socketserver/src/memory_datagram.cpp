// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/memory_datagram.hpp>

#include "datagram_transport.hpp"

#include <cstring>
#include <utility>

namespace socketserver {

namespace {

std::unique_ptr<datagram_transport> received(std::string packet, endpoint const& sender,
    std::shared_ptr<memory_datagram::record> into, std::size_t fails,
    boost::system::error_code const& error)
{
    if (!into)
        into = std::make_shared<memory_datagram::record>();
    auto bytes = std::make_unique<datagram_transport>(nullptr, -1);
    bytes->packet = std::move(packet);
    bytes->sender.size = static_cast<socklen_t>(sender.size());
    std::memcpy(&bytes->sender.storage, sender.data(), sender.size());
    bytes->instead = [into = std::move(into), fails, error](
                         endpoint const& to, std::string_view text) -> boost::system::error_code {
        ++into->operations;
        if (fails != 0 && into->operations >= fails)
            return error;
        into->sent.push_back({to, std::string(text)});
        return {};
    };
    return bytes;
}

} // namespace

memory_datagram::memory_datagram(std::string packet, endpoint const& sender,
    std::shared_ptr<record> into, std::size_t fails, boost::system::error_code error)
    : datagram(datagram_transport::make(
          received(std::move(packet), sender, std::move(into), fails, error)))
{
}

void memory_datagram::vouch_for(credentials const& who) noexcept
{
    if (auto* const b = datagram_transport::of(*this))
        b->vouched = who;
}

void memory_datagram::cut_off() noexcept
{
    if (auto* const b = datagram_transport::of(*this))
        b->truncated = true;
}

} // namespace socketserver
