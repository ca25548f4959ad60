// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_THREADING_MIXIN_HPP
#define SOCKETSERVER_STRATEGY_THREADING_MIXIN_HPP

#include <socketserver/active_request.hpp>
#include <socketserver/base_server.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/strategy/dispatching.hpp>
#include <socketserver/strategy/worker_threads.hpp>

#include <cstddef>
#include <memory>
#include <optional>

namespace socketserver {

/** Runs every request in a thread of its own.

    Threads that have run a request are kept for the next. When @ref max_threads requests run, the
    next ones wait in the kernel's queue until one has ended. See Python's
    `socketserver.ThreadingMixIn`.

    @tparam Server The server class to mix into.
*/
template <class Server>
class threading_mixin : public Server
{
    static_assert(!dispatching<Server>,
        "threading_mixin: this server already has a dispatching mixin (threading_mixin, "
        "thread_pool_mixin, forking_mixin or coroutine_mixin); a server has at most one");
    static_assert(!serving<Server>,
        "threading_mixin: write preforking_mixin<threading_mixin<...>>, the serving mixin outside");

public:
    /** What this mixin does. */
    using dispatching_strategy = threading_mixin;

    using Server::Server;

    /** How many requests run at once, more than 0. Read by the loop's thread. */
    std::size_t max_threads = 1000;

    /** Whether `server_close()` returns without waiting for requests in progress. Read by its
        caller. The requests are ended before the server is destroyed all the same. */
    bool daemon_threads = false;

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

    /** Set what N is in a strategy's text: @ref max_threads.

        @param n The number.
    */
    void dispatching_limit(std::size_t n) noexcept { max_threads = n; }

    /** Run a request in a thread.

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
                threads_.run(std::move(r), max_threads, {stack_size, preempts});
            });
    }

protected:
    bool has_room() const noexcept override { return threads_.size() < max_threads; }

    bool serves_nobody() const noexcept override
    {
        return max_threads == 0 || Server::serves_nobody();
    }

    bool waits_on_close() const noexcept override
    {
        return Server::waits_on_close() && !daemon_threads;
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
