// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/coroutine_scheduler.hpp>

#include "../current_request.hpp"
#include "coroutine_core.hpp"
#include "sanitizers.hpp"

#include <socketserver/log.hpp>
#include <socketserver/strategy/coroutine_mixin.hpp>

#include <boost/context/preallocated.hpp>
#include <boost/context/stack_context.hpp>
#include <boost/system/system_error.hpp>

#include <cerrno>
#include <cstring>
#include <cxxabi.h>
#include <new>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

namespace socketserver {

namespace {

thread_local coroutine_scheduler::core* current_core = nullptr;

// The stack is ours: the coroutine goes back to the pool when its last switch is over.
struct keeps_stack
{
    boost::context::stack_context allocate() { std::terminate(); }

    void deallocate(boost::context::stack_context&) noexcept {}
};

} // namespace

std::size_t default_max_coroutines() noexcept
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur > 128 ? static_cast<std::size_t>(limit.rlim_cur) - 64 : 64;
}

exception_state exception_state::exchange(exception_state next) noexcept
{
    // Itanium C++ ABI, 2.2.2: caughtExceptions, then uncaughtExceptions.
    exception_state before;
    auto* const globals = reinterpret_cast<char*>(abi::__cxa_get_globals());
    std::memcpy(&before.caught, globals, sizeof before.caught);
    std::memcpy(&before.uncaught, globals + sizeof before.caught, sizeof before.uncaught);
    std::memcpy(globals, &next.caught, sizeof next.caught);
    std::memcpy(globals + sizeof next.caught, &next.uncaught, sizeof next.uncaught);
    return before;
}

coroutine_scheduler::core::core() = default;

coroutine_scheduler::core::~core()
{
    // A stream may outlive those that waited for it.
    for (auto const& s : slots_)
        if (s.target)
            s.target->owner = nullptr;
    if (set_ >= 0)
        ::close(set_);
}

coroutine_scheduler::core* coroutine_scheduler::core::current() noexcept
{
    return current_core;
}

void coroutine_scheduler::core::start(std::unique_ptr<active_request>&& request, bool is_counted)
{
    if (set_ < 0 && (set_ = ::epoll_create1(EPOLL_CLOEXEC)) < 0)
        throw boost::system::system_error(errno, boost::system::system_category(), "epoll_create1");

    auto const stack = stacks_.take();
    // The coroutine lies at the top; what is below is for its calls.
    auto top = reinterpret_cast<std::uintptr_t>(stack.top()) - sizeof(coroutine);
    top -= top % 64;
    auto* const c = new (reinterpret_cast<void*>(top)) coroutine;
    c->stack = stack;
    c->request = std::move(request);
    c->sanitizer = sanitizers::make_fiber();

    boost::context::stack_context context;
    context.sp = c;
    context.size = top - reinterpret_cast<std::uintptr_t>(stack.bottom);
    // Making it enters and leaves it once.
    loop_sanitizer_ = sanitizers::this_fiber();
    sanitizers::follow(c->sanitizer);
    c->context = boost::context::fiber(std::allocator_arg,
        boost::context::preallocated(context.sp, context.size, context), keeps_stack(),
        [this, c](boost::context::fiber&& loop) {
            sanitizers::after_switch(nullptr, &loop_stack_, &loop_stack_size_);
            loop_ = std::move(loop);
            c->request->run();
            // First the number: whoever hears that the request has ended finds room.
            --size_;
            c->request.reset();
            c->ended = true;
            // The last switch is one like all others, from which nobody comes back: the frames
            // below this one need not be left, and its stack is used again as it is.
            sanitizers::before_switch(nullptr, loop_stack_, loop_stack_size_, loop_sanitizer_);
            return std::move(loop_).resume();
        });
    sanitizers::follow(loop_sanitizer_);
    if (!is_counted)
        ++size_;
    resume(*c);
}

void coroutine_scheduler::core::resume(coroutine& c) noexcept
{
    auto* const outer_running = std::exchange(running_, &c);
    auto* const outer_core = std::exchange(current_core, this);
    auto* const outer_request = std::exchange(current_request, c.current);
    auto const outer_exceptions = exception_state::exchange(c.exceptions);
    loop_sanitizer_ = sanitizers::this_fiber();

    void* fake = nullptr;
    sanitizers::before_switch(&fake, c.stack.bottom, c.stack.size, c.sanitizer);
    c.context = std::move(c.context).resume();
    sanitizers::after_switch(fake, nullptr, nullptr);

    c.exceptions = exception_state::exchange(outer_exceptions);
    c.current = std::exchange(current_request, outer_request);
    current_core = outer_core;
    running_ = outer_running;
    if (c.ended)
    {
        sanitizers::unmake_fiber(c.sanitizer);
        // Not destroyed: its context would be unwound.  Nothing else in it is left to release.
        stacks_.give_back(c.stack);
    }
}

void coroutine_scheduler::core::suspend(clock::time_point until) noexcept
{
    auto& c = *running_;
    c.timed_out = false;
    c.moved = 0;
    if (until != clock::time_point::max())
    {
        c.until = until;
        timers_.insert(c);
    }
    void* fake = nullptr;
    sanitizers::before_switch(&fake, loop_stack_, loop_stack_size_, loop_sanitizer_);
    loop_ = std::move(loop_).resume();
    sanitizers::after_switch(fake, &loop_stack_, &loop_stack_size_);
}

void coroutine_scheduler::core::make_runnable(coroutine& c) noexcept
{
    if (c.in_runnable.is_linked())
        return;
    if (c.in_timers.is_linked())
        timers_.erase(timers_.iterator_to(c));
    runnable_.push_back(c);
}

void coroutine_scheduler::core::run()
{
    take_events();
    take_timers();
    // Those that become runnable meanwhile wait for the next turn: a coroutine that never waits
    // for long must not keep the loop from its other duties.
    runnable_list now;
    now.swap(runnable_);
    while (!now.empty())
    {
        auto& c = now.front();
        now.pop_front();
        resume(c);
    }
}

void coroutine_scheduler::core::take_events() noexcept
{
    epoll_event events[256];
    int const n = set_ < 0 ? 0 : ::epoll_wait(set_, events, 256, 0);
    for (int i = 0; i < n; ++i)
    {
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
    while (!timers_.empty() && timers_.begin()->until <= now)
    {
        auto& c = *timers_.begin();
        c.timed_out = true;
        make_runnable(c);
    }
}

coroutine_scheduler::core::clock::time_point coroutine_scheduler::core::next_timer() const noexcept
{
    if (!runnable_.empty())
        return clock::time_point::min();
    return timers_.empty() ? clock::time_point::max() : timers_.begin()->until;
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

coroutine_scheduler::coroutine_scheduler()
    : core_(std::make_unique<core>())
{
}

coroutine_scheduler::~coroutine_scheduler() = default;

void coroutine_scheduler::start(std::unique_ptr<active_request>&& request)
{
    core_->start(std::move(request));
}

std::size_t coroutine_scheduler::size() const noexcept
{
    return core_->size();
}

bool coroutine_scheduler::inside() const noexcept
{
    return core::current() == core_.get();
}

int coroutine_scheduler::descriptor() const noexcept
{
    return core_->descriptor();
}

std::chrono::steady_clock::time_point coroutine_scheduler::next_timer() const noexcept
{
    return core_->next_timer();
}

void coroutine_scheduler::run()
{
    core_->run();
}

void coroutine_scheduler::after_fork()
{
    // What waits in it waits in the parent.
    [[maybe_unused]] auto* const leave = core_.release();
    if (leave->descriptor() >= 0)
        ::close(leave->descriptor());
    core_ = std::make_unique<core>();
}

} // namespace socketserver
