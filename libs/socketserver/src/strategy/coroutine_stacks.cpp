// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "coroutine_stacks.hpp"

#include "sanitizers.hpp"

#include <socketserver/log.hpp>

#include <algorithm>
#include <atomic>
#include <limits>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace socketserver {

namespace {

// What a log record and the unwinding of an exception may need.
constexpr std::size_t least = 64 * 1024;

// It costs addresses alone.  More than a page, so that a frame with a buffer does not step over it.
constexpr std::size_t guard = 64 * 1024;

// Most free stacks that are kept.
constexpr std::size_t most_free = 1024;

std::size_t page() noexcept
{
    static auto const size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return size;
}

std::size_t in_pages(std::size_t size)
{
    size = std::max(size, least);
    if (size > std::numeric_limits<std::size_t>::max() / 2)
        throw std::bad_alloc();
    return (size + page() - 1) / page() * page();
}

void* map(std::size_t size) noexcept
{
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
}

} // namespace

coroutine_stacks::~coroutine_stacks()
{
    for (auto const& stack : free_)
        unmake(stack);
    for (auto const& block : blocks_)
        ::munmap(block.memory, block.size);
}

coroutine_stack coroutine_stacks::take(std::size_t size)
{
    size = in_pages(size);
    if (size != size_)
    {
        // give_back() must not fail.
        free_.reserve(most_free);
        for (auto const& stack : free_)
            unmake(stack);
        free_.clear();
        free_unguarded_.clear();
        size_ = size;
    }
    coroutine_stack stack;
    if (free_.empty() && make_guarded(size, stack))
        return stack;
    if (free_.empty() && free_unguarded_.empty())
        make_unguarded(size);
    auto& from = free_.empty() ? free_unguarded_ : free_;
    stack = from.back();
    from.pop_back();
    return stack;
}

void coroutine_stacks::give_back(coroutine_stack const& stack) noexcept
{
    sanitizers::forget(stack.bottom, stack.size);
    auto& to = stack.is_guarded ? free_ : free_unguarded_;
    if (stack.size == size_ && (!stack.is_guarded || free_.size() < most_free))
        to.push_back(stack);
    else
        unmake(stack);
}

coroutine_stack coroutine_stacks::make(void* bottom, std::size_t size, bool is_guarded) noexcept
{
    coroutine_stack stack;
    stack.bottom = bottom;
    stack.size = size;
    stack.is_guarded = is_guarded;
    stack.valgrind = sanitizers::register_stack(stack.bottom, stack.top());
    return stack;
}

bool coroutine_stacks::make_guarded(std::size_t size, coroutine_stack& stack) noexcept
{
    if (!take_guard())
        return false;
    void* const memory = map(guard + size);
    if (!memory || ::mprotect(memory, guard, PROT_NONE) < 0)
    {
        if (memory)
            ::munmap(memory, guard + size);
        give_back_guard();
        return false;
    }
    stack = make(static_cast<char*>(memory) + guard, size, true);
    return true;
}

bool coroutine_stacks::take_guard() noexcept
{
    if (!guards_)
        return true;
    auto left = guards_->load();
    while (left != 0 && !guards_->compare_exchange_weak(left, left - 1))
        ;
    return left != 0;
}

void coroutine_stacks::give_back_guard() noexcept
{
    if (guards_)
        ++*guards_;
}

// Each guard is two mappings, of which the system allows a process only so many; without guards,
// one mapping is many stacks.
void coroutine_stacks::make_unguarded(std::size_t size)
{
    auto const n = most_free;
    // give_back() must not fail.
    free_unguarded_.reserve((blocks_.size() + 1) * n);
    blocks_.reserve(blocks_.size() + 1);
    void* const memory =
        size <= std::numeric_limits<std::size_t>::max() / n ? map(n * size) : nullptr;
    if (!memory)
        throw std::bad_alloc();
    blocks_.push_back({memory, n * size});
    for (std::size_t i = 0; i < n; ++i)
        free_unguarded_.push_back(make(static_cast<char*>(memory) + i * size, size, false));

    static std::atomic<bool> said{false};
    if (!said.exchange(true))
        log(log_severity::warning,
            "no more mappings for guards (vm.max_map_count): further coroutines have unguarded "
            "stacks");
}

void coroutine_stacks::unmake(coroutine_stack const& stack) noexcept
{
    sanitizers::deregister_stack(stack.valgrind);
    if (!stack.is_guarded)
        return;
    ::munmap(static_cast<char*>(stack.bottom) - guard, guard + stack.size);
    give_back_guard();
}

} // namespace socketserver
