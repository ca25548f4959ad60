// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Where coroutines wait: for descriptors, for a time, and for other threads.

#include "coroutine_core.hpp"

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <new>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace socketserver {

namespace {

// The event of the descriptor that wakes the loop for a notification.
constexpr std::uint64_t is_notification = ~std::uint64_t{0};

[[noreturn]] void failed(char const* what)
{
    throw boost::system::system_error(errno, boost::system::system_category(), what);
}

} // namespace

void coroutine_scheduler::core::take_events(int milliseconds) noexcept
{
    epoll_event events[256];
    int const n = set_ < 0 ? 0 : ::epoll_wait(set_, events, 256, milliseconds);
    for (int i = 0; i < n; ++i)
    {
        if (events[i].data.u64 == is_notification)
        {
            take_notifications();
            continue;
        }
        auto const index = static_cast<std::uint32_t>(events[i].data.u64);
        auto const generation = static_cast<std::uint32_t>(events[i].data.u64 >> 32);
        if (slots_[index].generation != generation || !slots_[index].target)
            continue;
        auto& r = *slots_[index].target;
        auto const what = events[i].events;
        // Beside urgent data, too, a receive gives less than there is: it stops at the mark.
        if (what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI))
            r.hung_up = true;
        if (what & EPOLLIN)
            r.readable = true;
        if (what & EPOLLOUT)
            r.writable = true;
        if (r.reader && r.may(direction::receive))
            make_runnable(*r.reader);
        if (r.writer && r.may(direction::send))
            make_runnable(*r.writer);
    }
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

void coroutine_scheduler::core::allow_notifications()
{
    if (wake_ >= 0)
        return;
    if (set_ < 0 && (set_ = ::epoll_create1(EPOLL_CLOEXEC)) < 0)
        failed("epoll_create1");
    int const descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0)
        failed("eventfd");
    // With its edges alone, every write is an event and nobody has to read.
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = is_notification;
    if (::epoll_ctl(set_, EPOLL_CTL_ADD, descriptor, &event) < 0)
    {
        int const error = errno;
        ::close(descriptor);
        errno = error;
        failed("epoll_ctl");
    }
    wake_ = descriptor;
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

void coroutine_scheduler::core::wake() noexcept
{
    std::uint64_t const one = 1;
    [[maybe_unused]] auto const written = ::write(wake_, &one, sizeof one);
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
    bool const send = d == direction::send;
    if (r.owner == this && (!send || r.watches_send))
        return true;
    if (r.owner && r.owner != this)
    {
        // It came from another thread's coroutine, which cannot wait for it any more.
        errno = EXDEV;
        return false;
    }
    bool const is_new = !r.owner;
    if (is_new)
    {
        try
        {
            if (free_slots_.empty())
            {
                slots_.emplace_back();
                // forget() must not fail.
                free_slots_.reserve(slots_.capacity());
                free_slots_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
            }
        }
        catch (std::bad_alloc const&)
        {
            errno = ENOMEM;
            return false;
        }
        r.slot = free_slots_.back();
    }
    epoll_event event{};
    // Asking for what can be had at once, as sending mostly can, would be a wake-up for nothing.
    event.events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET | (send ? unsigned(EPOLLOUT) : 0u);
    event.data.u64 = r.slot | std::uint64_t(slots_[r.slot].generation) << 32;
    if (::epoll_ctl(set_, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &event) < 0)
        return false;
    if (is_new)
    {
        free_slots_.pop_back();
        slots_[r.slot].target = &r;
        r.owner = this;
    }
    r.watches_send = send;
    return true;
}

void coroutine_scheduler::core::unwatch(readiness& r, int descriptor) noexcept
{
    if (r.owner == this)
        ::epoll_ctl(set_, EPOLL_CTL_DEL, descriptor, nullptr);
}

void coroutine_scheduler::core::forget(readiness& r) noexcept
{
    if (r.owner != this)
        return;
    slots_[r.slot].target = nullptr;
    ++slots_[r.slot].generation;
    free_slots_.push_back(r.slot);
    r.owner = nullptr;
}

} // namespace socketserver
