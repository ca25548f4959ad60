// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_COROUTINE_THREADS_HPP
#define SOCKETSERVER_STRATEGY_COROUTINE_THREADS_HPP

#include <socketserver/active_request.hpp>
#include <socketserver/config.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace socketserver {

class coroutine_services;

/** Threads that run requests as coroutines, beside the thread of the loop.

    A request is given to the thread with the fewest in progress, and stays there. Threads are
    started when they are needed.

    @par Thread safety
    Used by one thread.
*/
class SOCKETSERVER_DECL coroutine_threads
{
public:
    /** Threads that are not started yet.

        @param services As in @ref coroutine_scheduler.
    */
    explicit coroutine_threads(coroutine_services* services = nullptr);

    /** End the threads, which have nothing to run any more. */
    ~coroutine_threads();

    /** Run a request in one of the threads.

        Where the system refuses another thread, one that runs gets the request.

        @param request The request.
        @param threads How many threads there may be; at least one.
        @throws std::exception There is no thread and none can be started; the request is left with
        the caller.
    */
    void start(std::unique_ptr<active_request>&& request, std::size_t threads);

    /** Return how many requests have not ended. */
    std::size_t size() const noexcept;

    /** Return the number of requests of the thread that has the fewest.

        @param threads How many threads there may be.
        @return The number; 0 while another may be started.
    */
    std::size_t fewest(std::size_t threads) const noexcept;

    /** Begin anew, without threads or requests, in a process that was just forked. */
    void after_fork();

private:
    struct thread;
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace socketserver

#endif
