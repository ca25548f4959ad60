// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_COROUTINE_SCHEDULER_HPP
#define SOCKETSERVER_STRATEGY_COROUTINE_SCHEDULER_HPP

#include <socketserver/active_request.hpp>
#include <socketserver/base_server.hpp>
#include <socketserver/config.hpp>

#include <chrono>
#include <cstddef>
#include <memory>

namespace socketserver {

class worker_threads;

/** Runs requests as stackful coroutines of one thread: what @ref coroutine_mixin hands its work to.

    A coroutine runs until it waits, for a stream for example; meanwhile others run. It never
    changes its thread, and is never destroyed before it has ended. It may wait anywhere, inside a
    `catch` block too.

    @par Thread safety
    Used by one thread.
*/
class SOCKETSERVER_DECL coroutine_scheduler final : public event_source
{
public:
    /** A scheduler without requests.

        @param for_blocking_calls The threads of @ref this_request::blocking, which must outlive
        the requests; with none, a blocking call blocks them all.
    */
    explicit coroutine_scheduler(worker_threads* for_blocking_calls = nullptr);
    ~coroutine_scheduler() override;

    /** Start a request; returns when it first waits or has ended.

        @param request The request.
        @throws std::bad_alloc There is no memory for its stack; the request is left with the
        caller.
        @throws std::system_error There is no descriptor to wait with; likewise.
    */
    void start(std::unique_ptr<active_request>&& request);

    /** Return how many requests have not ended. */
    std::size_t size() const noexcept;

    /** Return whether the caller runs in a coroutine of this scheduler. */
    bool inside() const noexcept;

    int descriptor() const noexcept override;
    std::chrono::steady_clock::time_point next_timer() const noexcept override;

    /** Resume the requests whose wait is over, each until it waits again. */
    void run() override;

    /** Begin anew, without requests, in a process that was just forked. */
    void after_fork();

    /** How it works; for what waits in a coroutine. */
    class core;

private:
    std::unique_ptr<core> core_;
};

/** A thread that runs requests as coroutines, for a program that has a loop of its own.

    The thread is started by the first request.

    @par Thread safety
    Used by one thread, but for @ref size.
*/
class SOCKETSERVER_DECL coroutine_thread
{
public:
    /** A thread that is not started yet.

        @param for_blocking_calls As in @ref coroutine_scheduler.
    */
    explicit coroutine_thread(worker_threads* for_blocking_calls = nullptr);

    /** End the thread, which has nothing to run any more. */
    ~coroutine_thread();

    /** Run a request in the thread.

        @param request The request.
        @throws std::system_error The thread cannot be started; the request is left with the caller.
    */
    void start(std::unique_ptr<active_request>&& request);

    /** Return how many requests have not ended. */
    std::size_t size() const noexcept;

    /** Return whether the caller runs in a coroutine of this thread. */
    bool inside() const noexcept;

    /** Begin anew, without thread or requests, in a process that was just forked. */
    void after_fork();

private:
    struct state;
    worker_threads* for_blocking_calls_;
    std::unique_ptr<state> state_;
};

} // namespace socketserver

#endif
