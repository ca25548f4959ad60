// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_SHARED_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_SHARED_HPP

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <new>
#include <semaphore.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <thread>
#include <utility>

namespace matrix {

using namespace std::chrono_literals;

/** How long anything may take that should happen at once: a test that waits longer has failed. */
inline constexpr auto patience = 20s;

/** An object that this process, the threads of a server and its children all see. */
template <class T>
class shared
{
public:
    template <class... Arguments>
    explicit shared(Arguments&&... arguments)
    {
        void* const page =
            ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            throw std::bad_alloc();
        object_ = new (page) T(std::forward<Arguments>(arguments)...);
    }

    shared(shared const&) = delete;
    shared& operator=(shared const&) = delete;

    ~shared()
    {
        object_->~T();
        ::munmap(object_, sizeof(T));
    }

    T& operator*() const noexcept { return *object_; }
    T* operator->() const noexcept { return object_; }

private:
    T* object_;
};

/** Something that happens a number of times, in any thread or process, and is waited for. */
class gate
{
public:
    gate() { ::sem_init(&semaphore_, 1, 0); }

    gate(gate const&) = delete;
    gate& operator=(gate const&) = delete;

    ~gate() { ::sem_destroy(&semaphore_); }

    void open() noexcept { ::sem_post(&semaphore_); }

    /** Waits for it to happen once more; false when it does not. */
    bool wait(std::chrono::seconds limit = patience) noexcept
    {
        timespec until;
        ::clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += limit.count();
        int result;
        do
            result = ::sem_timedwait(&semaphore_, &until);
        while (result < 0 && errno == EINTR);
        return result == 0;
    }

private:
    sem_t semaphore_;
};

/** A text that one writes and another reads. */
class note
{
public:
    void write(std::string_view text) noexcept
    {
        std::size_t n = 0;
        for (; n < text.size() && n < sizeof text_ - 1; ++n)
            text_[n].store(text[n], std::memory_order_relaxed);
        text_[n].store('\0', std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
    }

    std::string read() const
    {
        std::string text;
        for (auto const& c : text_)
        {
            if (c.load(std::memory_order_relaxed) == '\0')
                break;
            text += c.load(std::memory_order_relaxed);
        }
        return text;
    }

private:
    std::atomic<char> text_[400]{};
};

/** Waits until something holds that can only be looked at; false when it never does. */
template <class Condition>
bool eventually(Condition const& condition, std::chrono::seconds limit = patience)
{
    auto const end = std::chrono::steady_clock::now() + limit;
    while (!condition())
    {
        if (std::chrono::steady_clock::now() >= end)
            return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

/** How long a function takes. */
template <class Function>
std::chrono::nanoseconds duration_of(Function const& f)
{
    auto const start = std::chrono::steady_clock::now();
    f();
    return std::chrono::steady_clock::now() - start;
}

} // namespace matrix

#endif
