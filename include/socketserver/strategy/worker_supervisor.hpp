// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_WORKER_SUPERVISOR_HPP
#define SOCKETSERVER_STRATEGY_WORKER_SUPERVISOR_HPP

#include <socketserver/base_server.hpp>
#include <socketserver/config.hpp>
#include <socketserver/strategy/child_processes.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

namespace socketserver {

/** Keeps a number of worker processes running: what @ref preforking_mixin hands its work to.

    A worker that dies is replaced at once; while workers die within a second of their start, the
    next one waits 100 ms, doubling up to 5 s.

    @par Thread safety
    All members may be called from any thread.
*/
class SOCKETSERVER_DECL worker_supervisor final : public event_source
{
public:
    worker_supervisor();
    ~worker_supervisor() override;

    /** Start the workers.

        @param workers How many.
        @param be_a_worker Called in each new process; must not return.
    */
    void start(std::size_t workers, std::function<void()> be_a_worker);

    /** Replace no worker any more, and ask all to drain and go. Once is enough. */
    void drain() noexcept;

    /** Make the workers abort their requests. */
    void abort() noexcept;

    /** Kill the workers, and wait until they are gone. */
    void kill() noexcept;

    /** Return how many workers there are, draining ones included. */
    std::size_t size() const noexcept;

    /** Return the process numbers of the workers. */
    std::vector<int> pids() const;

    int descriptor() const noexcept override;
    std::chrono::steady_clock::time_point next_timer() const noexcept override;

    /** Reap the workers that have ended, and replace them. */
    void run() override;

    /** Begin anew, without workers, in a process that was just forked. */
    void after_fork();

private:
    // With the lock held.
    void replace();

    child_processes children_;

    // A server is closed and destroyed by other threads than the one that serves.
    mutable std::mutex mutex_;
    std::size_t wanted_ = 0;
    std::vector<int> serving_;
    std::function<void()> be_a_worker_;
    std::chrono::milliseconds backoff_{0};
    std::chrono::steady_clock::time_point next_start_{};
};

} // namespace socketserver

#endif
