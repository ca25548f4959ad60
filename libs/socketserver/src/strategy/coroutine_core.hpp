// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_COROUTINE_CORE_HPP
#define SOCKETSERVER_SRC_STRATEGY_COROUTINE_CORE_HPP

#include "coroutine_stacks.hpp"
#include "coroutine_watchdog.hpp"
#include "readiness_set.hpp"

#include <socketserver/strategy/coroutine_scheduler.hpp>

#include <boost/context/fiber.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

namespace socketserver {

class active_request;

// What the C++ runtime keeps for each thread while exceptions are caught or thrown
// (abi::__cxa_get_globals).  A coroutine that waits inside a catch block has to take it along, or
// two of them rethrow each other's exceptions.
struct exception_state
{
    void* caught = nullptr;
    unsigned int uncaught = 0;

    static exception_state exchange(exception_state next) noexcept;
};

// A request with a stack of its own.  It lies at the top of that stack.
struct coroutine
{
    using clock = std::chrono::steady_clock;

    coroutine_stack stack;
    std::unique_ptr<active_request> request;
    boost::context::fiber context;
    bool ended = false;

    // What is the thread's while it runs.
    exception_state exceptions;
    active_request* current = nullptr;
    void* sanitizer = nullptr;

    bool timed_out = false;
    unsigned moved = 0; // operations since it waited last

    // Its place in the timers is left as it is by a wait that may last longer, and by its end; found
    // too early, it is set again.  A time limit, which is mostly not reached, costs a wait no more
    // than a comparison.
    bool waits = false;
    clock::time_point until = clock::time_point::max();
    clock::time_point in_timers_at = clock::time_point::max();
    boost::intrusive::list_member_hook<> in_runnable;
    boost::intrusive::set_member_hook<> in_timers;

    friend bool operator<(coroutine const& a, coroutine const& b) noexcept
    {
        return a.in_timers_at < b.in_timers_at;
    }
};

// Coroutines of one thread, and the one set of descriptors that they wait in.
class coroutine_scheduler::core
{
public:
    using clock = std::chrono::steady_clock;

    using direction = wait_direction;

    enum class outcome
    {
        ready,
        timed_out,
        failed // errno says why
    };

    // A descriptor, who watches it, and who waits for it.
    struct readiness : socketserver::readiness
    {
        core* owner = nullptr;
        coroutine* reader = nullptr;
        coroutine* writer = nullptr;
    };

    // What a coroutine waits for that another thread does.
    struct notification
    {
        coroutine* waits = nullptr;
        std::atomic<bool> is_listed{false};
        notification* next = nullptr;
    };

    explicit core(coroutine_services* services = nullptr);
    ~core();

    // In a process that was just forked, which may use the parent's no more.
    void leave_descriptors() noexcept { set_.leave(); }

    // The scheduler whose coroutine the caller runs in, or null.
    static core* current() noexcept;

    // A request that count() has announced, from any thread, is not counted again.
    void start(std::unique_ptr<active_request>&& request, bool is_counted = false);
    void count() noexcept { ++size_; }
    void uncount() noexcept { --size_; }
    void run();

    // The same, for a thread that does nothing else: waits for what there is to do.  It must have
    // been allowed to be notified.
    void wait_and_run();

    // Ends its wait.  Any thread.
    void wake() noexcept { set_.wake(); }

    std::size_t size() const noexcept { return size_; }
    int descriptor() const noexcept { return set_.descriptor(); }

    // Where there is none: waits for others' as well, and gives whether it has waited.
    bool wait_with(std::span<int const> others, clock::time_point until);

    clock::time_point next_timer() const noexcept;

    // Suspends the caller until the descriptor may be ready or the time has come.
    outcome wait(readiness& r, int descriptor, direction d, clock::time_point until) noexcept;

    // Suspends the caller until the others that can run have run, and a time has come.
    void sleep_until(clock::time_point until) noexcept;

    // An operation has moved bytes without waiting: a caller that never has to wait, because its
    // peer sends faster than it reads, lets the others run now and then all the same.
    void has_moved() noexcept;

    // The same, of an operation that must not let others run.
    void note_moved() noexcept { ++running_->moved; }

    // From now on others may notify; throws system_error where there is no descriptor for it.
    void allow_notifications() { set_.allow_wake(); }

    // Suspends the caller until it is notified, perhaps for nothing; false when the time has come.
    bool wait(notification& n, clock::time_point until) noexcept;

    // Resumes who waits for it, or will.  Any thread, and a signal handler.
    void notify(notification& n) noexcept;

    // Nobody notifies any more.
    void forget(notification& n) noexcept;

    // What it shares with others, if there is anything.
    coroutine_services* services() const noexcept { return services_; }

    // Takes the descriptor out of the set; closing it does that as well.
    void unwatch(readiness& r, int descriptor) noexcept;

    // The descriptor is about to be closed, or given away.
    void forget(readiness& r) noexcept;

private:
    using runnable_list = boost::intrusive::list<coroutine,
        boost::intrusive::member_hook<coroutine, boost::intrusive::list_member_hook<>,
            &coroutine::in_runnable>>;
    using timer_set = boost::intrusive::multiset<coroutine,
        boost::intrusive::member_hook<coroutine, boost::intrusive::set_member_hook<>,
            &coroutine::in_timers>>;

    bool watch(readiness& r, int descriptor, direction d) noexcept;
    void take_events(readiness_events const& found) noexcept;
    void run_runnable();
    void take_notifications() noexcept;
    void take_timers() noexcept;
    void make_runnable(coroutine& c) noexcept;
    void suspend(clock::time_point until) noexcept;
    void set_timer(coroutine& c) noexcept;
    void resume(coroutine& c) noexcept;

    readiness_set set_;
    coroutine_services* const services_;
    coroutine_services::watchdog* const watchdog_;
    coroutine_services::watchdog::run run_;
    std::atomic<notification*> notified_{nullptr};
    std::atomic<std::size_t> size_{0};
    coroutine* running_ = nullptr;
    boost::context::fiber loop_;
    void* loop_sanitizer_ = nullptr;
    void const* loop_stack_ = nullptr;
    std::size_t loop_stack_size_ = 0;
    runnable_list runnable_;
    timer_set timers_;
    coroutine_stacks stacks_;
};

} // namespace socketserver

#endif
