// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_FORK_SAFE_CONDITION_HPP
#define SOCKETSERVER_SRC_FORK_SAFE_CONDITION_HPP

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace socketserver {

// A condition variable that is notified with its mutex held, and that a fork leaves as it is unless
// there are waiters, whom the child does not have.
class fork_safe_condition
{
public:
    template <class Predicate>
    void wait(std::unique_lock<std::mutex>& lock, Predicate predicate)
    {
        waiter const registered(*this);
        changed_.wait(lock, predicate);
    }

    template <class Predicate>
    bool wait_until(std::unique_lock<std::mutex>& lock, std::chrono::steady_clock::time_point until,
        Predicate predicate)
    {
        waiter const registered(*this);
        return changed_.wait_until(lock, until, predicate);
    }

    void notify_all() noexcept { changed_.notify_all(); }

    void after_fork() noexcept
    {
        if (std::exchange(waiters_, 0) != 0)
            std::construct_at(&changed_);
    }

private:
    // Made and destroyed with the mutex held.
    struct waiter
    {
        explicit waiter(fork_safe_condition& c) noexcept
            : condition(c)
        {
            ++condition.waiters_;
        }

        ~waiter() { --condition.waiters_; }

        fork_safe_condition& condition;
    };

    std::condition_variable changed_;
    int waiters_ = 0;
};

} // namespace socketserver

#endif
