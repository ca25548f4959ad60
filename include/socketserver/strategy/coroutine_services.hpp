// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_COROUTINE_SERVICES_HPP
#define SOCKETSERVER_STRATEGY_COROUTINE_SERVICES_HPP

#include <socketserver/config.hpp>
#include <socketserver/strategy/worker_threads.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>

namespace socketserver {

/** What all coroutines of a server share, whichever thread they run in.

    @par Thread safety
    Used by the loop's thread; its members by any.
*/
class SOCKETSERVER_DECL coroutine_services
{
public:
    /** Nothing is started yet. */
    coroutine_services();

    /** End the threads, for which there is nothing to do any more. */
    ~coroutine_services();

    /** Have those watched that run long without waiting; see @ref coroutine_mixin::max_run.

        Starts the thread that does it, unless there is one. Where none can be started, nobody
        watches, which is logged once.

        @param max_run How long is too long; zero for nothing.
    */
    void watch(std::chrono::nanoseconds max_run);

    /** Begin anew, without threads, in a process that was just forked. */
    void after_fork();

    /** The threads of @ref this_request::blocking. */
    worker_threads for_blocking_calls;

    /** How many bytes the stacks of further coroutines have; see @ref
        coroutine_mixin::stack_size. */
    std::atomic<std::size_t> stack_size{256 * 1024};

    /** How many more stacks may have a guard. At first as many as need a quarter of the mappings
        that the system allows a process (`vm.max_map_count`, mostly 65530): without some to spare,
        nothing else in the process could allocate memory. */
    std::atomic<std::size_t> guards;

    /** Who watches; for the schedulers. */
    class watchdog;

    /** Return who watches.

        @return It.
    */
    watchdog& watched_by() noexcept { return *watchdog_; }

private:
    std::unique_ptr<watchdog> watchdog_;
};

} // namespace socketserver

#endif
