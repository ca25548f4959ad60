// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Where coroutines wait: for descriptors, for a time, and for other threads.

#include "coroutine_core.hpp"

#include <cerrno>

namespace socketserver {

void coroutine_scheduler::core::take_events(readiness_events const& found) noexcept
{
    if (found.woken)
        take_notifications();
    for (auto* const ready : found)
    {
        auto& r = static_cast<readiness&>(*ready);
        if (r.reader && r.may(direction::receive))
            make_runnable(*r.reader);
        if (r.writer && r.may(direction::send))
            make_runnable(*r.writer);
    }
}

bool coroutine_scheduler::core::wait_with(std::span<int const> others, clock::time_point until)
{
    readiness_events found;
    if (!set_.wait_with(others, until, found))
        return false;
    take_events(found);
    return true;
}

void coroutine_scheduler::core::take_timers() noexcept
{
    if (timers_.empty())
        return;
    auto const now = clock::now();
    while (!timers_.empty() && timers_.begin()->in_timers_at <= now)
    {
        auto& c = *timers_.begin();
        if (c.waits && c.until <= now)
        {
            c.timed_out = true;
            make_runnable(c);
        }
        // One that runs sets it when it waits again.
        if (!c.waits)
            c.until = clock::time_point::max();
        set_timer(c);
    }
}

void coroutine_scheduler::core::set_timer(coroutine& c) noexcept
{
    if (c.in_timers.is_linked())
        timers_.erase(timers_.iterator_to(c));
    c.in_timers_at = c.until;
    if (c.until != clock::time_point::max())
        timers_.insert(c);
}

coroutine_scheduler::core::clock::time_point coroutine_scheduler::core::next_timer() const noexcept
{
    if (!runnable_.empty())
        return clock::time_point::min();
    return timers_.empty() ? clock::time_point::max() : timers_.begin()->in_timers_at;
}

coroutine_scheduler::core::outcome coroutine_scheduler::core::wait(
    readiness& r, int descriptor, direction d, clock::time_point until) noexcept
{
    if (!watch(r, descriptor, d))
        return outcome::failed;
    auto& waiter = d == direction::receive ? r.reader : r.writer;
    waiter = running_;
    suspend(until);
    waiter = nullptr;
    return running_->timed_out ? outcome::timed_out : outcome::ready;
}

void coroutine_scheduler::core::sleep_until(clock::time_point until) noexcept
{
    suspend(until);
}

void coroutine_scheduler::core::has_moved() noexcept
{
    constexpr unsigned most = 64;
    if (++running_->moved < most)
        return;
    make_runnable(*running_);
    suspend(clock::time_point::max());
}

bool coroutine_scheduler::core::wait(notification& n, clock::time_point until) noexcept
{
    n.waits = running_;
    suspend(until);
    n.waits = nullptr;
    return !running_->timed_out;
}

void coroutine_scheduler::core::notify(notification& n) noexcept
{
    if (n.is_listed.exchange(true))
        return;
    auto* first = notified_.load();
    do
        n.next = first;
    while (!notified_.compare_exchange_weak(first, &n));
    // Whoever has listed the first has woken the loop, or is about to.
    if (!first)
        wake();
}

void coroutine_scheduler::core::take_notifications() noexcept
{
    for (auto* n = notified_.exchange(nullptr); n;)
    {
        auto* const next = n->next;
        // It may be listed again from now on.
        n->is_listed.store(false);
        if (n->waits)
            make_runnable(*n->waits);
        n = next;
    }
}

void coroutine_scheduler::core::forget(notification& n) noexcept
{
    if (n.is_listed.load())
        take_notifications();
}

bool coroutine_scheduler::core::watch(readiness& r, int descriptor, direction d) noexcept
{
    if (r.owner && r.owner != this)
    {
        // It came from another thread's coroutine, which cannot wait for it any more.
        errno = EXDEV;
        return false;
    }
    if (!set_.watch(r, descriptor, d))
        return false;
    r.owner = this;
    return true;
}

void coroutine_scheduler::core::unwatch(readiness& r, int descriptor) noexcept
{
    if (r.owner == this)
        set_.unwatch(r, descriptor);
}

void coroutine_scheduler::core::forget(readiness& r) noexcept
{
    if (r.owner != this)
        return;
    set_.forget(r);
    r.owner = nullptr;
}

} // namespace socketserver
