// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_SHARED_PAGE_HPP
#define SOCKETSERVER_SRC_STRATEGY_SHARED_PAGE_HPP

#include <cerrno>
#include <new>
#include <sys/mman.h>
#include <system_error>
#include <utility>

namespace socketserver {

// An object that this process and those that it forks from now on all see.  Its destructor is not
// called: the memory goes with the last process that has it.
template <class T>
class shared_page
{
public:
    // Throws std::system_error.
    shared_page()
    {
        void* const memory =
            ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            throw std::system_error(errno, std::generic_category(), "mmap");
        object_ = new (memory) T;
    }

    shared_page(shared_page&& other) noexcept
        : object_(std::exchange(other.object_, nullptr))
    {
    }

    shared_page& operator=(shared_page&& other) noexcept
    {
        std::swap(object_, other.object_);
        return *this;
    }

    ~shared_page()
    {
        if (object_)
            ::munmap(object_, sizeof(T));
    }

    T* get() const noexcept { return object_; }
    T* operator->() const noexcept { return object_; }

private:
    T* object_;
};

} // namespace socketserver

#endif
