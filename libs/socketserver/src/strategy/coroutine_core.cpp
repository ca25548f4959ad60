// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "coroutine_core.hpp"

#include "../current_request.hpp"
#include "sanitizers.hpp"

#include <socketserver/active_request.hpp>

#include <boost/context/preallocated.hpp>
#include <boost/context/stack_context.hpp>

#include <cstring>
#include <cxxabi.h>
#include <exception>
#include <new>
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

coroutine_scheduler::core::core(coroutine_services* services)
    : services_(services)
    , watchdog_(services ? &services->watched_by() : nullptr)
    , stacks_(services ? &services->guards : nullptr)
{
    if (watchdog_)
        watchdog_->add(run_);
}

coroutine_scheduler::core::~core()
{
    if (watchdog_)
        watchdog_->remove(run_);
    // A stream may outlive those that waited for it.
    set_.slots().for_each(
        [](socketserver::readiness& r) { static_cast<readiness&>(r).owner = nullptr; });
}

coroutine_scheduler::core* coroutine_scheduler::core::current() noexcept
{
    return current_core;
}

void coroutine_scheduler::core::start(std::unique_ptr<active_request>&& request, bool is_counted)
{
    set_.open();
    auto const stack = stacks_.take(services_ ? services_->stack_size.load() : 256 * 1024);
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
            run_.ends();
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
    auto* const outer_run = run_.now();
    loop_sanitizer_ = sanitizers::this_fiber();
    run_.of(c.request.get(), watchdog_);

    void* fake = nullptr;
    sanitizers::before_switch(&fake, c.stack.bottom, c.stack.size, c.sanitizer);
    c.context = std::move(c.context).resume();
    sanitizers::after_switch(fake, nullptr, nullptr);

    run_.of(outer_run, nullptr);
    c.exceptions = exception_state::exchange(outer_exceptions);
    c.current = std::exchange(current_request, outer_request);
    current_core = outer_core;
    running_ = outer_running;
    if (c.ended)
    {
        if (c.in_timers.is_linked())
            timers_.erase(timers_.iterator_to(c));
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
    c.waits = true;
    c.until = until;
    if (until < c.in_timers_at)
        set_timer(c);
    void* fake = nullptr;
    sanitizers::before_switch(&fake, loop_stack_, loop_stack_size_, loop_sanitizer_);
    loop_ = std::move(loop_).resume();
    sanitizers::after_switch(fake, &loop_stack_, &loop_stack_size_);
}

void coroutine_scheduler::core::make_runnable(coroutine& c) noexcept
{
    if (c.in_runnable.is_linked())
        return;
    c.waits = false;
    runnable_.push_back(c);
}

void coroutine_scheduler::core::run()
{
    take_events(set_.wait(clock::time_point::min()));
    run_runnable();
}

void coroutine_scheduler::core::wait_and_run()
{
    take_events(set_.wait(next_timer()));
    run_runnable();
}

void coroutine_scheduler::core::run_runnable()
{
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

} // namespace socketserver
