// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_COROUTINE_STACKS_HPP
#define SOCKETSERVER_SRC_STRATEGY_COROUTINE_STACKS_HPP

#include <cstddef>
#include <vector>

namespace socketserver {

// Memory for a stack: it grows down from bottom + size, and below the bottom lies a page that
// nobody may touch.
struct coroutine_stack
{
    void* bottom = nullptr;
    std::size_t size = 0;
    unsigned valgrind = 0;

    void* top() const noexcept { return static_cast<char*>(bottom) + size; }
};

// Stacks, kept for the next request: making one costs ten microseconds, taking one from here a
// fraction of one.
class coroutine_stacks
{
public:
    coroutine_stacks() = default;
    ~coroutine_stacks();

    coroutine_stacks(coroutine_stacks const&) = delete;
    coroutine_stacks& operator=(coroutine_stacks const&) = delete;

    // Throws std::bad_alloc.
    coroutine_stack take();
    void give_back(coroutine_stack const& stack) noexcept;

private:
    static coroutine_stack make();
    static void unmake(coroutine_stack const& stack) noexcept;

    std::vector<coroutine_stack> free_;
};

} // namespace socketserver

#endif
