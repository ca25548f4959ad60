// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_RECYCLED_HPP
#define SOCKETSERVER_SRC_RECYCLED_HPP

#include "strategy/sanitizers.hpp"

#include <atomic>
#include <cstddef>
#include <new>

namespace socketserver {

// The base of a class of which the last one's memory is kept for the next.  A loop that is done with
// one before it takes another needs no heap for them, and copies none of its pages when it has
// forked.  The sanitizers shall see every end.
template <class Class>
class recycled
{
public:
    static void* operator new(std::size_t size)
    {
        auto* const memory = spare_.exchange(nullptr);
        return memory ? memory : ::operator new(size);
    }

    static void operator delete(void* memory) noexcept
    {
#if !defined(SOCKETSERVER_ASAN) && !defined(SOCKETSERVER_TSAN)
        memory = spare_.exchange(memory);
#endif
        ::operator delete(memory);
    }

private:
    static inline std::atomic<void*> spare_{nullptr};
};

} // namespace socketserver

#endif
