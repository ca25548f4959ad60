// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_COROUTINE_STACKS_HPP
#define SOCKETSERVER_SRC_STRATEGY_COROUTINE_STACKS_HPP

#include <atomic>
#include <cstddef>
#include <vector>

namespace socketserver {

// Memory for a stack: it grows down from bottom + size, and below the bottom lies a guard that
// nobody may touch.
struct coroutine_stack
{
    void* bottom = nullptr;
    std::size_t size = 0;
    unsigned valgrind = 0;
    bool is_guarded = true;

    void* top() const noexcept { return static_cast<char*>(bottom) + size; }
};

// Stacks, kept for the next request: making one costs ten microseconds, taking one from here a
// fraction of one.
class coroutine_stacks
{
public:
    ~coroutine_stacks();

    coroutine_stacks(coroutine_stacks const&) = delete;
    coroutine_stacks& operator=(coroutine_stacks const&) = delete;

    // Takes its guards from so many.
    explicit coroutine_stacks(std::atomic<std::size_t>* guards) noexcept
        : guards_(guards)
    {
    }

    // Gives a stack of this size, or of the nearest that there can be.  Throws std::bad_alloc.
    coroutine_stack take(std::size_t size);
    void give_back(coroutine_stack const& stack) noexcept;

private:
    // Many of them in one mapping, which is left whole: a part of it would be another mapping.
    struct block
    {
        void* memory;
        std::size_t size;
    };

    static coroutine_stack make(void* bottom, std::size_t size, bool is_guarded) noexcept;
    bool make_guarded(std::size_t size, coroutine_stack& stack) noexcept;
    void unmake(coroutine_stack const& stack) noexcept;
    bool take_guard() noexcept;
    void give_back_guard() noexcept;
    void make_unguarded(std::size_t size);

    std::atomic<std::size_t>* const guards_;
    std::size_t size_ = 0; // of those that are free
    std::vector<coroutine_stack> free_;
    std::vector<coroutine_stack> free_unguarded_;
    std::vector<block> blocks_;
};

} // namespace socketserver

#endif
