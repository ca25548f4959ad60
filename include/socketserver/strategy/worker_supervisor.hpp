// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_WORKER_SUPERVISOR_HPP
#define SOCKETSERVER_STRATEGY_WORKER_SUPERVISOR_HPP

#include <socketserver/base_server.hpp>
#include <socketserver/config.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace socketserver {

class request_counts;

/** Keeps a number of worker processes running: what @ref preforking_mixin hands its work to.

    A worker that dies is replaced at once. Once five have died within @ref young_age, none of them
    older than that, the next ones wait 100 ms, doubling up to 1 s a worker, until one has lived
    longer or none has died for as long; the log says so when it begins and when it is over.

    A worker that is to be replaced is asked to drain when its successor serves: there are never
    fewer that serve because of that.

    @par Thread safety
    All members may be called from any thread, those of a worker by the worker alone.
*/
class SOCKETSERVER_DECL worker_supervisor final : public event_source
{
public:
    worker_supervisor();
    ~worker_supervisor() override;

    /** The age below which a death counts as early, and the time in which five of them are too
        many. Read by the thread that calls @ref run. */
    std::chrono::nanoseconds young_age = std::chrono::seconds(10);

    /** Start the workers.

        @param workers How many.
        @param be_a_worker Called in each new process; must not return.
        @param counts What the workers count in; null for nothing. Must outlive them.
        @throws std::system_error No descriptor is left.
    */
    void start(
        std::size_t workers, std::function<void()> be_a_worker, request_counts* counts = nullptr);

    /** Replace all workers that there are now, one after the other.

        A request that comes while that is under way is for one round more, however many come.
        Does nothing when no workers run.

        @par Thread safety
        Any thread, a signal handler, and any worker.
    */
    void replace_workers() noexcept;

    /** Replace no worker any more, and have all take no more requests, drain and go. Once is
        enough. */
    void drain() noexcept;

    /** Return whether a worker is about to take a request that it began to take before @ref drain.
        None begins after that. */
    bool any_takes() const noexcept;

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

    /** Reap the workers that have ended, and replace those that are to be replaced. */
    void run() override;

    /** Begin anew, without workers, in a process that was just forked.

        @param role What the process is for: a worker itself, or a request of one.
    */
    void after_fork(fork_role role);

    /** @name What a worker says of itself */
    /** @{ */

    /** It serves: from now on another may go for it. */
    void worker_serves() noexcept;

    /** It is to be replaced after a number of requests; it serves on until it is asked to drain.

        @param requests How many; 0 for any number.
        @param jitter The number is increased by one drawn from 0 to this.
    */
    void worker_lasts(std::size_t requests, std::size_t jitter) noexcept;

    /** It takes a request, as long as this lives. The thread of its loop. */
    class SOCKETSERVER_DECL taking
    {
    public:
        /** Begin to take one.

            @param supervisor The worker's copy; it outlives this.
        */
        explicit taking(worker_supervisor& supervisor) noexcept;

        /** Tell the supervisor that it was taken, or that there was none. */
        ~taking();

        taking(taking const&) = delete;
        taking& operator=(taking const&) = delete;

        /** Return whether it may: false when the server is told to stop. */
        bool is_allowed() const noexcept;

    private:
        worker_supervisor& supervisor_;
    };

    /** It has taken a request. Any thread of the worker. */
    void worker_took_request() noexcept;

    /** It takes no more requests, by itself: its successor may start. */
    void worker_leaves() noexcept;

    /** @} */

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace socketserver

#endif
