// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "open_sockets.hpp"

#include "written_page.hpp"

#include <socketserver/active_request.hpp>

#include <atomic>
#include <cstdint>
#include <unistd.h>

namespace socketserver::open_sockets {

namespace {

// A bit a descriptor: neither a lock nor memory that could be used up.  The kernel's own limit of
// descriptors is a million by default; whatever lies above is left alone.
constexpr int most = 1 << 20;
std::atomic<std::uint64_t> higher[(most - written_page::most_descriptors) / 64];
std::atomic<int> highest{0};

std::atomic<std::uint64_t>& word(int descriptor) noexcept
{
    int const above = descriptor - written_page::most_descriptors;
    return above < 0 ? the_written_page.descriptors[descriptor / 64] : higher[above / 64];
}

constexpr std::uint64_t bit(int descriptor) noexcept
{
    return std::uint64_t{1} << descriptor % 64;
}

} // namespace

void add(int descriptor) noexcept
{
    if (descriptor < 0 || descriptor >= most)
        return;
    word(descriptor).fetch_or(bit(descriptor), std::memory_order_relaxed);
    for (int h = highest.load(); h < descriptor && !highest.compare_exchange_weak(h, descriptor);)
    {
    }
}

void remove(int descriptor) noexcept
{
    if (descriptor >= 0 && descriptor < most)
        word(descriptor).fetch_and(~bit(descriptor), std::memory_order_relaxed);
}

void close_others(active_request const* own) noexcept
{
    for (int first = 0; first <= highest; first += 64)
    {
        auto open = word(first).load(std::memory_order_relaxed);
        for (int i = 0; open != 0; ++i, open >>= 1)
        {
            int const descriptor = first + i;
            if ((open & 1) == 0 || (own && own->owns(descriptor)))
                continue;
            remove(descriptor);
            ::close(descriptor);
        }
    }
}

} // namespace socketserver::open_sockets
