// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_COROUTINE_MIXIN_HPP
#define SOCKETSERVER_STRATEGY_COROUTINE_MIXIN_HPP

#include <socketserver/active_request.hpp>
#include <socketserver/base_server.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/strategy/coroutine_scheduler.hpp>
#include <socketserver/strategy/dispatching.hpp>
#include <socketserver/strategy/worker_threads.hpp>
#include <socketserver/time_after.hpp>

#include <cstddef>
#include <memory>

namespace socketserver {

/** Return how many coroutines a server runs by default: as many as the process may open
    descriptors, less 64. */
SOCKETSERVER_DECL std::size_t default_max_coroutines() noexcept;

/** Runs every request as a stackful coroutine, in the thread of the loop.

    A handler is plain blocking code: where it waits for its stream, other requests run. Where it
    waits otherwise (a lock, another library's socket, a long computation), everything waits with
    it. When @ref max_coroutines run, the next requests wait in the kernel's queue until one has
    ended.

    `serve_forever()` returns when the last coroutine has ended: after `shutdown()` it waits for them
    up to `drain_timeout`, then aborts them. In a program that calls `handle_request()` the
    coroutines run in a thread that the strategy starts.

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

    /** How many coroutines run at once. Read by the loop's thread. */
    std::size_t max_coroutines = default_max_coroutines();

    /** Run a request as a coroutine.

        @param request The request; moved from.
        @param client_address Who asked.
    */
    void process_request(
        typename Server::request_type& request, endpoint const& client_address) override
    {
        this->hand_over(request, client_address, [this](std::unique_ptr<active_request>&& r) {
            if (serving_)
                scheduler_.start(std::move(r));
            else
                thread_.start(std::move(r));
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
        return scheduler_.size() + thread_.size() < max_coroutines;
    }

    event_source* source() noexcept override { return &scheduler_; }

    bool wait_for_requests(base_server::clock::time_point until, bool abortable) override
    {
        // The thread that runs the coroutines cannot wait for them.
        bool const cannot = this->in_loop_thread() || scheduler_.inside() || thread_.inside();
        return Server::wait_for_requests(
            cannot ? base_server::clock::time_point::min() : until, abortable);
    }

    void after_fork(fork_role role) override
    {
        Server::after_fork(role);
        scheduler_.after_fork();
        thread_.after_fork();
        for_blocking_calls_.after_fork();
    }

private:
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

    worker_threads for_blocking_calls_;
    coroutine_scheduler scheduler_{&for_blocking_calls_};
    coroutine_thread thread_{&for_blocking_calls_};
    bool serving_ = false;
};

} // namespace socketserver

#endif
