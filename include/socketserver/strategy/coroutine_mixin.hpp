// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_COROUTINE_MIXIN_HPP
#define SOCKETSERVER_STRATEGY_COROUTINE_MIXIN_HPP

#include <socketserver/active_request.hpp>
#include <socketserver/base_server.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/strategy/coroutine_scheduler.hpp>
#include <socketserver/strategy/coroutine_services.hpp>
#include <socketserver/strategy/coroutine_threads.hpp>
#include <socketserver/strategy/dispatching.hpp>
#include <socketserver/time_after.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>

namespace socketserver {

/** Return how many coroutines a server runs by default: as many as the process may open
    descriptors, less 64. */
SOCKETSERVER_DECL std::size_t default_max_coroutines() noexcept;

/** Runs every request as a stackful coroutine, in the thread of the loop or in one of several.

    A handler is plain blocking code: where it waits for its stream or by @ref this_request, other
    requests run. Where it waits otherwise (a lock, another library's socket, a long computation),
    all of its thread wait with it. When @ref max_coroutines run, the next requests wait in the
    kernel's queue until one has ended.

    With several @ref threads, the loop's thread takes the requests, runs its share of them, and
    gives each of the others to the thread that has the fewest. A coroutine never changes its
    thread. All hooks up to `process_request` are called by the loop's thread.

    `serve_forever()` returns when the last coroutine of its thread has ended: after `shutdown()` it
    waits for them up to `drain_timeout`, then aborts all. In a program that calls
    `handle_request()` all of the threads are the strategy's.

    @tparam Server The server class to mix into.
*/
template <class Server>
class coroutine_mixin : public Server
{
    static_assert(!dispatching<Server>,
        "coroutine_mixin: this server already has a dispatching mixin (threading_mixin, "
        "thread_pool_mixin, forking_mixin or coroutine_mixin); a server has at most one");
    static_assert(!serving<Server>,
        "coroutine_mixin: write preforking_mixin<coroutine_mixin<...>>, the serving mixin outside");

public:
    /** What this mixin does. */
    using dispatching_strategy = coroutine_mixin;

    using Server::Server;

    /** How many coroutines run at once, more than 0. Read by the loop's thread. */
    std::size_t max_coroutines = default_max_coroutines();

    /** How many threads run coroutines, the loop's own among them, more than 0. Read by the loop's
        thread. */
    std::size_t threads = 1;

    /** How many bytes the stack of a coroutine has; rounded up to pages, and at least 64 KiB. Read by
        the loop's thread for each request.

        Only what a handler uses of it becomes memory. Below it lies a guard of 64 KiB: a handler
        that needs more than its stack ends the process by SIGSEGV, unless one function of it has
        more than that in its frame and steps over the guard. The guards use up to a quarter of the
        mappings that the system allows (`vm.max_map_count`), which is enough for 8000 stacks;
        further ones have no guard, which is logged once.
    */
    std::size_t stack_size = 256 * 1024;

    /** How long a handler may run without waiting before a warning is logged that names its client;
        zero for any time. Read by the loop's thread for each request.

        All other coroutines of its thread wait meanwhile. A thread looks after it that sleeps while
        nothing runs; the warning comes after this time, and before half as much again has passed.
    */
    base_server::duration max_run = std::chrono::milliseconds(100);

    /** Set what N is in a strategy's text: @ref threads.

        @param n The number.
    */
    void dispatching_limit(std::size_t n) noexcept { threads = n; }

    /** Run a request as a coroutine.

        @param request The request; moved from.
        @param client_address Who asked.
    */
    void process_request(
        typename Server::request_type& request, endpoint const& client_address) override
    {
        this->hand_over(request, client_address, [this](std::unique_ptr<active_request>&& r) {
            // It may have been set since serving began.
            auto const all = std::max<std::size_t>(threads, 1);
            services_.stack_size.store(stack_size, std::memory_order_relaxed);
            services_.watch(max_run);
            if (!serving_)
                return threads_.start(std::move(r), all);
            if (!is_idlest(all - 1))
                try
                {
                    return threads_.start(std::move(r), all - 1);
                }
                catch (std::exception const&)
                {
                    // There is this thread.
                }
            scheduler_.start(std::move(r));
        });
    }

protected:
    void serve(base_server::duration poll_interval) override
    {
        serving_ = true;
        try
        {
            Server::serve(poll_interval);
        }
        catch (...)
        {
            drain();
            throw;
        }
        drain();
    }

    bool caller_may_run() const noexcept override { return false; }

    bool has_room() const noexcept override
    {
        return scheduler_.size() + threads_.size() < max_coroutines;
    }

    bool serves_nobody() const noexcept override
    {
        return max_coroutines == 0 || threads == 0 || Server::serves_nobody();
    }

    event_source* source() noexcept override { return &scheduler_; }

    bool wait_for_requests(base_server::clock::time_point until, bool abortable) override
    {
        // A thread cannot wait for the coroutines that it runs.
        auto const* const own = active_request::current();
        bool const cannot =
            (own && &own->server() == this) || (this->in_loop_thread() && scheduler_.size() != 0);
        return Server::wait_for_requests(
            cannot ? base_server::clock::time_point::min() : until, abortable);
    }

    void after_fork(fork_role role) override
    {
        Server::after_fork(role);
        services_.after_fork();
        scheduler_.after_fork();
        threads_.after_fork();
    }

private:
    // When several have as few, they take turns: handlers that never wait are spread, too.
    bool is_idlest(std::size_t others) noexcept
    {
        auto const own = scheduler_.size();
        auto const fewest = others != 0 ? threads_.fewest(others) : own + 1;
        return own < fewest || (own == fewest && ++turn_ % (others + 1) == 0);
    }

    // Runs what is left in the loop's thread, which is the only one that can.
    void drain()
    {
        auto const none = [this] { return scheduler_.size() == 0; };
        if (!this->attend(scheduler_, none, time_after(this->drain_timeout), true))
        {
            this->abort_requests();
            if (!this->attend(scheduler_, none, time_after(this->abort_timeout), false))
                this->kill_requests();
        }
        serving_ = false;
    }

    coroutine_services services_;
    coroutine_scheduler scheduler_{&services_};
    coroutine_threads threads_{&services_};
    std::size_t turn_ = 0;
    bool serving_ = false;
};

} // namespace socketserver

#endif
