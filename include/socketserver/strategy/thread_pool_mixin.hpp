// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_THREAD_POOL_MIXIN_HPP
#define SOCKETSERVER_STRATEGY_THREAD_POOL_MIXIN_HPP

#include <socketserver/active_request.hpp>
#include <socketserver/base_server.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/strategy/dispatching.hpp>
#include <socketserver/strategy/worker_threads.hpp>

#include <cstddef>
#include <memory>
#include <optional>

namespace socketserver {

/** Return how many workers a thread pool has by default: four a core, at least eight. */
SOCKETSERVER_DECL std::size_t default_pool_workers() noexcept;

/** Runs requests in a fixed number of threads, with a queue before them.

    When the queue is full, the next requests wait in the kernel's queue until there is room.

    @tparam Server The server class to mix into.
*/
template <class Server>
class thread_pool_mixin : public Server
{
    static_assert(!dispatching<Server>,
        "thread_pool_mixin: this server already has a dispatching mixin (threading_mixin, "
        "thread_pool_mixin, forking_mixin or coroutine_mixin); a server has at most one");
    static_assert(!serving<Server>,
        "thread_pool_mixin: write preforking_mixin<thread_pool_mixin<...>>, the serving mixin "
        "outside");

public:
    /** What this mixin does. */
    using dispatching_strategy = thread_pool_mixin;

    using Server::Server;

    /** How many threads run requests, more than 0. Read by the loop's thread. */
    std::size_t pool_workers = default_pool_workers();

    /** How many requests may wait for a thread; as many as there are threads by default. Read by
        the loop's thread. */
    std::optional<std::size_t> max_queue;

    /** How large the stack of a thread is, in bytes, 64 KiB at least; none for what the system
        gives, mostly 8 MiB.

        Only what is touched takes memory. Read by the loop's thread when it starts one.
    */
    std::optional<std::size_t> stack_size;

    /** Whether a thread that gets a request may take the processor from the loop, or from another
        request, in the middle of what they do.

        If not, it runs under the system's `SCHED_BATCH`: on a busy processor it may begin a few
        milliseconds later, and short requests cost less, because the loop and the threads do more
        at a time; on an idle one it makes no difference. A program that runs under a policy of its
        own, such as `SCHED_FIFO`, keeps it. Read by the loop's thread when it starts one.
    */
    bool preempts = false;

    /** Set what N is in a strategy's text: @ref pool_workers.

        @param n The number.
    */
    void dispatching_limit(std::size_t n) noexcept { pool_workers = n; }

    /** Run a request in a thread of the pool.

        @param request The request; moved from.
        @param client_address Who asked.
    */
    void process_request(
        typename Server::request_type& request, endpoint const& client_address) override
    {
        // The loop comes here at the limit only if it is to run the request itself.
        if (!has_room())
            Server::process_request(request, client_address);
        else
            this->hand_over(request, client_address, [this](std::unique_ptr<active_request>&& r) {
                threads_.run(std::move(r), pool_workers, {stack_size, preempts});
            });
    }

protected:
    bool has_room() const noexcept override
    {
        return threads_.size() < pool_workers + max_queue.value_or(pool_workers);
    }

    bool serves_nobody() const noexcept override
    {
        return pool_workers == 0 || Server::serves_nobody();
    }

    void after_fork(fork_role role) override
    {
        Server::after_fork(role);
        threads_.after_fork();
    }

private:
    worker_threads threads_;
};

} // namespace socketserver

#endif
