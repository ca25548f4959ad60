// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "waiter.hpp"

#include "current_request.hpp"

#include <socketserver/active_request.hpp>

#include <cerrno>
#include <ctime>
#include <thread>

namespace socketserver {

waiter::waiter()
{
    if (core_)
        core_->allow_notifications();
    // A signal handler may post it, which is why it is not a condition variable.
    ::sem_init(&semaphore_, 0, 0);
    if (current_request)
    {
        current_request->flush_pending();
        current_request->attach(*this);
    }
}

waiter::~waiter()
{
    leave_request();
    while (completing_.load() != 0)
        std::this_thread::yield();
    if (core_)
        core_->forget(notification_);
    ::sem_destroy(&semaphore_);
}

waiter::outcome waiter::wait(clock::time_point until) noexcept
{
    for (bool waited = false;; waited = true)
    {
        if (is_complete())
            return outcome::complete;
        if (interrupted())
        {
            // A handler that tries again for ever must not keep its loop.
            if (core_ && !waited)
                core_->sleep_until(clock::now());
            return outcome::aborted;
        }
        if (!sleep(until))
            return is_complete() ? outcome::complete : outcome::timed_out;
    }
}

void waiter::wait_for_all() noexcept
{
    while (!is_complete())
        sleep(clock::time_point::max());
}

void waiter::complete() noexcept
{
    // Whoever sees that all is complete sees this as well, and waits for its end.
    completing_.fetch_add(1);
    expected_.fetch_sub(1);
    wake();
    completing_.fetch_sub(1);
}

void waiter::wake() noexcept
{
    int const before = errno;
    if (core_)
        core_->notify(notification_);
    else
        ::sem_post(&semaphore_);
    errno = before;
}

// Waits once, perhaps for nothing; false when the time has come.
bool waiter::sleep(clock::time_point until) noexcept
{
    using namespace std::chrono;
    if (core_)
        return core_->wait(notification_, until);
    if (clock::now() >= until)
        return false;
    // The steady clock is CLOCK_MONOTONIC.
    auto const end = duration_cast<nanoseconds>(until.time_since_epoch());
    timespec const at{static_cast<std::time_t>(end / 1s), static_cast<long>((end % 1s).count())};
    return ::sem_clockwait(&semaphore_, CLOCK_MONOTONIC, &at) == 0 || errno != ETIMEDOUT;
}

} // namespace socketserver
