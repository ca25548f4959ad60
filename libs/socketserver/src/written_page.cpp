// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "written_page.hpp"

#include "strategy/sanitizers.hpp"

#include <bit>
#include <functional>
#include <new>

namespace socketserver {

written_page the_written_page;

namespace {

// The sanitizers shall see every end.
#if defined(SOCKETSERVER_ASAN) || defined(SOCKETSERVER_TSAN)
constexpr std::size_t most_cells = 0;
#else
constexpr std::size_t most_cells = written_page::number_of_cells;
#endif

constexpr std::uint64_t ones(std::size_t n) noexcept
{
    return (std::uint64_t{1} << n) - 1;
}

constexpr std::size_t cells_for(std::size_t size) noexcept
{
    return (size + sizeof(written_page::cell) - 1) / sizeof(written_page::cell);
}

} // namespace

void* written_page::allocate(std::size_t size)
{
    auto const n = cells_for(size);
    auto& page = the_written_page;
    for (auto taken = page.taken.load(); n <= most_cells;)
    {
        // A bit stays where it and the n - 1 above it are those of free cells.
        auto free = ~taken & ones(most_cells);
        for (std::size_t run = 1; run < n; ++run)
            free &= free >> 1;
        if (free == 0)
            break;
        int const first = std::countr_zero(free);
        if (page.taken.compare_exchange_weak(taken, taken | ones(n) << first))
            return &page.cells[first];
    }
    return ::operator new(size);
}

void written_page::deallocate(void* memory, std::size_t size) noexcept
{
    auto& page = the_written_page;
    auto* const first = static_cast<cell*>(memory);
    if (std::less<>()(first, page.cells) || !std::less<>()(first, page.cells + number_of_cells))
        ::operator delete(memory);
    else
        page.taken.fetch_and(~(ones(cells_for(size)) << (first - page.cells)));
}

} // namespace socketserver
