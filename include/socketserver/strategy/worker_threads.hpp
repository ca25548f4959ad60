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
    worker_threads();

    /** Wait until the threads have ended, which have nothing to run any more. */
    ~worker_threads();

    /** Run a request in a thread.

        Where the system refuses another thread, the request waits for one that runs.

        @param request The request.
        @param threads How many threads there may be.
        @param stack_size How large the stack of a thread that is started is, in bytes, 64 KiB at
        least; none for what the system gives.
        @throws std::system_error There is no thread and none can be started; the request
        is left with the caller.
    */
    void run(std::unique_ptr<active_request>&& request, std::size_t threads,
        std::optional<std::size_t> stack_size = std::nullopt);

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
