// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_CHILD_PROCESSES_HPP
#define SOCKETSERVER_STRATEGY_CHILD_PROCESSES_HPP

#include <socketserver/base_server.hpp>
#include <socketserver/config.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/request_place.hpp>
#include <socketserver/strategy/process_set.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace socketserver {

/** Child processes of ours, and no others: what @ref forking_mixin and @ref preforking_mixin share.

    Each child is held by a pidfd, which becomes readable when it ends: no signal handler, no other
    child of the program touched, no process signalled that has taken over a number. A child that
    runs a request gets its own when it is 10 ms old, or when @ref watch_all is called: most have
    ended by then, and are reaped together. Until then its number is its own, because nobody else
    reaps it.

    @par Thread safety
    All members may be called from any thread, but @ref fork from one at a time.
*/
class SOCKETSERVER_DECL child_processes final : public process_set
{
public:
    /** How a child ended. */
    struct ended
    {
        /** Its process number. */
        int pid;

        /** What it was for, as given to @ref fork. */
        std::string purpose;

        /** When it began. */
        std::chrono::steady_clock::time_point since;

        /** The signal that killed it, or 0. */
        int signal;

        /** What it gave to `_exit`, or 0 if it was killed. */
        int status;
    };

    /** No children yet.

        @param kind What one is called in the log; text that lives as long as this.
    */
    explicit child_processes(char const* kind = "child");

    /** Forget the children; does not end them. */
    ~child_processes() override;

    /** Fork a child.

        All signals are blocked in the child when this returns there, until
        `base_server::after_fork`.

        @param purpose What it is for, for reports.
        @return The process number in the parent, 0 in the child.
        @throws std::system_error The system allows no more processes.
    */
    int fork(std::string purpose);

    /** Fork a child that runs a request; else the same.

        @param client What it is for: who asked.
        @param place The place of the request, which is kept until the child has ended. Left alone
        in the child, and on failure.
        @return The process number in the parent, 0 in the child.
        @throws std::system_error The system allows no more processes.
    */
    int fork(endpoint const& client, request_place& place);

    std::size_t size() const noexcept override;
    std::vector<int> pids() const override;
    void signal(int number) noexcept override;

    /** Send a child a signal, unless it was reaped.

        @param pid Its process number.
        @param number The signal.
    */
    void signal(int pid, int number) noexcept;
    void kill() noexcept override;

    /** The signal that makes a child abort its request: SIGTERM. */
    static constexpr int terminate = 15;

    /** What @ref collect calls for every child that has ended, in the thread that calls it.

        By default the log has what @ref text gives, as `error` if it was killed by a signal, as
        `warning` if its status is not 0. It must not call @ref collect.
    */
    std::function<void(ended const&)> on_end;

    /** Return how a child has ended, in the words of the log.

        @param child The child.
        @return `child 812 (127.0.0.1:4711) was killed by signal 11 (SEGV)`, for example.
    */
    std::string text(ended const& child) const;

    /** Have @ref descriptor tell of the end of every child that there is at once: for whoever is
        about to wait for one. */
    void watch_all() noexcept;

    /** Have @ref descriptor become readable with another one, too.

        @param descriptor The other one; it is never read from here.
    */
    void watch(int descriptor);

    int descriptor() const noexcept override;
    std::chrono::steady_clock::time_point next_timer() const noexcept override;

    /** Do what @ref collect does. */
    void run() override { collect(); }
    void collect() override;
    void after_fork() override;

    /** Return whether this process has other threads than the caller.

        @param patience How long to look whether they go: a thread that was joined is still there
        for a moment.
        @return Whether there are some; false where the system does not tell.
    */
    static bool beside_threads(
        std::chrono::milliseconds patience = std::chrono::milliseconds(0)) noexcept;

    /** End this process as a child does: no destructors, nothing flushed.

        @param status Its exit status.
    */
    [[noreturn]] static void leave(int status) noexcept;

private:
    struct child;
    struct state;

    int start(child&& description, request_place* place);

    std::unique_ptr<state> state_;
};

} // namespace socketserver

#endif
