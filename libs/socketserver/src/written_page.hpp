// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_WRITTEN_PAGE_HPP
#define SOCKETSERVER_SRC_WRITTEN_PAGE_HPP

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>

namespace socketserver {

class base_server;

// What is written for every request lies together, as far as there is room, on one page of memory.
//
// A fork copies each page that one of both processes writes to while the other has it, too; and
// that costs more than all that is written there.
struct alignas(4096) written_page
{
    static constexpr std::size_t size = 4096;

    // Memory from the page, or else from the heap.  Throws std::bad_alloc.  Any thread may call
    // these; a fork may happen at any time.
    static void* allocate(std::size_t size);
    static void deallocate(void* memory, std::size_t size) noexcept;

    struct cell
    {
        alignas(64) std::byte bytes[64];
    };

    // A bit a descriptor, see open_sockets.
    static constexpr int most_descriptors = 1024;
    std::atomic<std::uint64_t> descriptors[most_descriptors / 64];

    struct
    {
        std::atomic<base_server*> server;
        sigset_t mask_before_fork;
        bool keeps_all_back;
        bool has_timer;
        timer_t timer;
    } signals; // see process_signals

    // A bit a cell.
    std::atomic<std::uint64_t> taken;
    static constexpr int number_of_cells = 59;
    cell cells[number_of_cells];
};

static_assert(sizeof(written_page) == written_page::size);

extern written_page the_written_page;

// The base of a class whose objects lie there.
struct on_written_page
{
    static void* operator new(std::size_t size) { return written_page::allocate(size); }

    static void operator delete(void* memory, std::size_t size) noexcept
    {
        written_page::deallocate(memory, size);
    }

protected:
    ~on_written_page() = default;
};

} // namespace socketserver

#endif
