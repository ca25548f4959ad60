// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "coroutine_stacks.hpp"

#include "sanitizers.hpp"

#include <socketserver/log.hpp>

#include <atomic>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace socketserver {

namespace {

// Only what is touched costs memory: room for a TLS handshake and a formatted log record.
constexpr std::size_t stack_size = 256 * 1024;

// Most free stacks that are kept.
constexpr std::size_t most_free = 1024;

std::size_t page() noexcept
{
    static auto const size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return size;
}

} // namespace

coroutine_stacks::~coroutine_stacks()
{
    for (auto const& stack : free_)
        unmake(stack);
}

coroutine_stack coroutine_stacks::take()
{
    if (free_.empty())
    {
        // give_back() must not fail.
        free_.reserve(most_free);
        return make();
    }
    auto const stack = free_.back();
    free_.pop_back();
    return stack;
}

void coroutine_stacks::give_back(coroutine_stack const& stack) noexcept
{
    sanitizers::forget(stack.bottom, stack.size);
    if (free_.size() < most_free)
        free_.push_back(stack);
    else
        unmake(stack);
}

coroutine_stack coroutine_stacks::make()
{
    void* const memory = ::mmap(nullptr, page() + stack_size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        throw std::bad_alloc();
    // The guard splits the mapping, of which the system allows only so many (vm.max_map_count).
    if (::mprotect(memory, page(), PROT_NONE) < 0)
    {
        static std::atomic<bool> said{false};
        if (!said.exchange(true))
            log(log_severity::warning,
                "the system allows no more mappings: further coroutines have unguarded stacks");
    }
    coroutine_stack stack;
    stack.bottom = static_cast<char*>(memory) + page();
    stack.size = stack_size;
    stack.valgrind = sanitizers::register_stack(stack.bottom, stack.top());
    return stack;
}

void coroutine_stacks::unmake(coroutine_stack const& stack) noexcept
{
    sanitizers::deregister_stack(stack.valgrind);
    ::munmap(static_cast<char*>(stack.bottom) - page(), page() + stack.size);
}

} // namespace socketserver
