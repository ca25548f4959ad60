// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "request_registry.hpp"

#include "current_request.hpp"

#include <cerrno>
#include <ctime>
#include <memory>

namespace socketserver {

request_registry::request_registry()
{
    ::sem_init(&changed_, 0, 0);
}

request_registry::~request_registry()
{
    ::sem_destroy(&changed_);
}

void request_registry::add(active_request& request) noexcept
{
    std::lock_guard const lock(mutex_);
    request.before_ = nullptr;
    request.after_ = first_;
    if (first_)
        first_->before_ = &request;
    first_ = &request;
    ++size_;
}

void request_registry::remove(active_request& request) noexcept
{
    std::lock_guard const lock(mutex_);
    if (request.before_)
        request.before_->after_ = request.after_;
    else
        first_ = request.after_;
    if (request.after_)
        request.after_->before_ = request.before_;
    --size_;
    // Within the lock: once it is given up, whoever waited may destroy this.
    wake();
}

bool request_registry::none_but_own() const noexcept
{
    std::lock_guard const lock(mutex_);
    if (size_ == 0)
        return true;
    return size_ == 1 && first_ == current_request;
}

bool request_registry::wait_for_none(
    active_request::clock::time_point until, std::function<bool()> const& give_up)
{
    struct waiting
    {
        std::atomic<int>& count;

        explicit waiting(std::atomic<int>& c)
            : count(c)
        {
            ++count;
        }

        ~waiting() { --count; }
    } const registered(waiters_);

    // The steady clock is CLOCK_MONOTONIC.
    using namespace std::chrono;
    auto const end = duration_cast<nanoseconds>(until.time_since_epoch());
    timespec const at{static_cast<std::time_t>(end / 1s), static_cast<long>((end % 1s).count())};
    while (!none_but_own())
    {
        if (give_up() || active_request::clock::now() >= until)
            return none_but_own();
        ::sem_clockwait(&changed_, CLOCK_MONOTONIC, &at);
    }
    return true;
}

void request_registry::abort_all() noexcept
{
    std::lock_guard const lock(mutex_);
    for (auto* request = first_; request; request = request->after_)
        request->abort();
}

void request_registry::for_each_other(std::function<void(active_request const&)> const& f) const
{
    std::lock_guard const lock(mutex_);
    for (auto* request = first_; request; request = request->after_)
        if (request != current_request)
            f(*request);
}

void request_registry::wake() noexcept
{
    for (int n = waiters_.load(); n > 0; --n)
        ::sem_post(&changed_);
}

void request_registry::after_fork() noexcept
{
    std::construct_at(&mutex_);
    first_ = nullptr;
    size_ = 0;
    // What has been posted to them wakes somebody once too often, who looks and waits on.
    waiters_ = 0;
}

} // namespace socketserver
