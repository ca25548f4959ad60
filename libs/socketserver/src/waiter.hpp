// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_WAITER_HPP
#define SOCKETSERVER_SRC_WAITER_HPP

#include "strategy/coroutine_core.hpp"

#include <socketserver/interruptible.hpp>

#include <atomic>
#include <chrono>
#include <semaphore.h>

namespace socketserver {

// A wait for what others complete, which suspends the coroutine that it is made in, and otherwise
// its thread.  An abort of the current request ends it.
class waiter final : public interruptible
{
public:
    using clock = std::chrono::steady_clock;

    enum class outcome
    {
        complete,
        aborted,
        timed_out
    };

    // Sends what the request holds back, and begins to wait for one completion.  Throws
    // system_error where there is no descriptor to wake a coroutine with.
    waiter();
    ~waiter() override;

    // Waits until all is complete, the request is aborted, or the time has come.
    outcome wait(clock::time_point until) noexcept;

    // Waits until all is complete.
    void wait_for_all() noexcept;

    bool is_complete() const noexcept { return expected_.load() == 0; }

    // From now on, one completion more is waited for.
    void expect_one_more() noexcept { ++expected_; }

    // By any thread, once for each that is expected; the object may be gone afterwards.
    void complete() noexcept;

private:
    void wake() noexcept override;
    bool sleep(clock::time_point until) noexcept;

    std::atomic<int> expected_{1};
    std::atomic<int> completing_{0};
    coroutine_scheduler::core* const core_ = coroutine_scheduler::core::current();
    coroutine_scheduler::core::notification notification_;
    sem_t semaphore_;
};

} // namespace socketserver

#endif
