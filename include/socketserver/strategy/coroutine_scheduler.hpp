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
#include <span>

namespace socketserver {

class coroutine_services;

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

        @param services What it shares with others; it must outlive the scheduler. With none, a
        blocking call blocks all requests, and nobody watches them.
    */
    explicit coroutine_scheduler(coroutine_services* services = nullptr);
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
    bool wait_with(
        std::span<int const> others, std::chrono::steady_clock::time_point until) override;

    /** Resume the requests whose wait is over, each until it waits again. */
    void run() override;

    /** Begin anew, without requests, in a process that was just forked. */
    void after_fork();

    /** How it works; for what waits in a coroutine. */
    class core;

private:
    std::unique_ptr<core> core_;
};

} // namespace socketserver

#endif
