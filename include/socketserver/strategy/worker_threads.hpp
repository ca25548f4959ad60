// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_WORKER_THREADS_HPP
#define SOCKETSERVER_STRATEGY_WORKER_THREADS_HPP

#include <socketserver/active_request.hpp>
#include <socketserver/config.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace socketserver {

/** Threads that run requests: what @ref threading_mixin and @ref thread_pool_mixin share.

    A thread is started when a request finds none idle, up to a number, and is kept for the next
    request. No thread is started before the first request.

    @par Thread safety
    All members but the destructor and @ref after_fork may be called from any thread.
*/
class SOCKETSERVER_DECL worker_threads
{
public:
    /** How threads are started. */
    struct options
    {
        /** How large the stack is, in bytes, 64 KiB at least; none for what the system gives. */
        std::optional<std::size_t> stack_size;

        /** Whether a thread that gets a request may take the processor from one that runs. */
        bool preempts = false;
    };

    worker_threads();

    /** Wait until the threads have ended, which have nothing to run any more. */
    ~worker_threads();

    /** Run a request in a thread.

        Where the system refuses another thread, the request waits for one that runs.

        @param request The request.
        @param threads How many threads there may be.
        @param how How a thread is started, if one is.
        @throws std::system_error There is no thread and none can be started; the request
        is left with the caller.
    */
    void run(std::unique_ptr<active_request>&& request, std::size_t threads, options const& how);

    /** Run a request in a thread that is started as @ref options are by default.

        @param request The request.
        @param threads How many threads there may be.
        @throws std::system_error As above.
    */
    void run(std::unique_ptr<active_request>&& request, std::size_t threads)
    {
        run(std::move(request), threads, {});
    }

    /** Return how many requests run or wait for a thread.

        @return The number.
    */
    std::size_t size() const noexcept;

    /** Begin anew, without threads, in a process that was just forked. */
    void after_fork();

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace socketserver

#endif
