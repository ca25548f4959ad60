// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_PREFORKING_MIXIN_HPP
#define SOCKETSERVER_STRATEGY_PREFORKING_MIXIN_HPP

#include <socketserver/base_server.hpp>
#include <socketserver/strategy/dispatching.hpp>
#include <socketserver/strategy/worker_supervisor.hpp>
#include <socketserver/time_after.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <vector>

namespace socketserver {

/** Return how many workers a pre-forking server has by default: one a core. */
SOCKETSERVER_DECL std::size_t default_workers() noexcept;

/** Serves in a fixed number of worker processes, which share the listener.

    Each worker runs the server within: `preforking_mixin<coroutine_mixin<tcp_server>>` is several
    processes of many coroutines each. This process supervises them: it replaces a worker that dies
    (see @ref worker_supervisor), that has taken @ref max_requests, or that is to be replaced
    (@ref replace_workers), and has them drain on shutdown. When `shutdown()` returns, none of them
    takes a request any more. When this process dies, they drain and go.

    Hooks up to `process_request`, and `service_actions`, run in every worker; `service_actions` in
    this process too. Each worker has memory of its own from the start of `serve_forever()` on.

    @tparam Server The server class to mix into, with or without a dispatching mixin.
*/
template <class Server>
class preforking_mixin : public Server
{
    static_assert(!serving<Server>,
        "preforking_mixin: this server already has a serving mixin (preforking_mixin); a server "
        "has at most one");

public:
    /** What this mixin does. */
    using serving_strategy = preforking_mixin;

    using Server::Server;

    /** How many workers serve, more than 0; of all that live, old ones that drain included, there
        are at most 4095, and the next is tried again later. Read when `serve_forever()` begins. */
    std::size_t workers = default_workers();

    /** After how many requests a worker is replaced; 0 for never.

        Bounds what a handler that leaks can use up. Every request that it takes counts, one that is
        refused as well. The worker serves on until its successor serves, and then drains: what is
        still in progress after `drain_timeout` is aborted. Read when `serve_forever()` begins.
    */
    std::size_t max_requests = 0;

    /** How many requests more than @ref max_requests a worker may take: each worker draws a number
        from 0 to this, so that they do not all end at once.

        None, the default, is a tenth of @ref max_requests. Read when `serve_forever()` begins.
    */
    std::optional<std::size_t> max_requests_jitter;

    /** Set what N is in a strategy's text: @ref workers.

        @param n The number.
    */
    void serving_limit(std::size_t n) noexcept { workers = n; }

    /** There is none in a pre-forking server: its workers have no threads, and fork their children
        themselves. */
    void start_fork_server() = delete;

    /** Return the process numbers of the workers, draining ones included.

        @return The numbers, in no order.
    */
    std::vector<int> active_workers() const { return supervisor_.pids(); }

    /** Replace all workers, one after the other, while the server serves.

        A successor starts from the memory of this process as it is now, and calls `after_fork`.
        When it serves, the one that it replaces drains, for up to `drain_timeout`. No connection is
        lost, and there are never fewer workers that take requests. If successors die, the old ones
        serve on. Calls made while that is under way ask for one round more, however many they are.
        Does nothing when the server is not served.

        @par Thread safety
        Any thread, a signal handler, and a worker, which asks the supervising process.
    */
    void replace_workers() noexcept { supervisor_.replace_workers(); }

    /** Replace all workers.

        @return True.
    */
    bool request_renewal() noexcept override
    {
        Server::request_renewal();
        replace_workers();
        return true;
    }

    /** Take the next request, and count it for @ref max_requests.

        @return What the server within has taken.
    */
    std::optional<typename Server::accepted> get_request() override
    {
        worker_supervisor::taking const taking(supervisor_);
        if (!taking.is_allowed())
            return std::nullopt;
        auto taken = Server::get_request();
        if (taken)
            supervisor_.worker_took_request();
        return taken;
    }

    /** In a worker, tell the supervising process that this one takes no more requests; there, see
        to it that none does. Then go on as the server within does. */
    void server_stopping() override
    {
        if (in_worker_)
            supervisor_.worker_leaves();
        else
        {
            supervisor_.drain();
            // One that was about to take a request is done with that at once.
            this->attend(
                supervisor_, [this] { return !supervisor_.any_takes(); },
                time_after(this->drain_timeout), true);
        }
        Server::server_stopping();
    }

    /** Refuse: workers take the requests.

        @throws std::logic_error Always.
    */
    void handle_request() override
    {
        throw std::logic_error("handle_request: a pre-forking server takes requests in its "
                               "workers; call serve_forever()");
    }

protected:
    void serve(base_server::duration poll_interval) override
    {
        supervisor_.start(
            workers, [this, poll_interval] { be_a_worker(poll_interval); }, &this->counts());
        try
        {
            this->run_loop(poll_interval, false);
        }
        catch (...)
        {
            supervisor_.drain();
            throw;
        }
        supervisor_.drain();
    }

    bool serves_nobody() const noexcept override { return workers == 0 || Server::serves_nobody(); }

    void loop_begins() noexcept override
    {
        Server::loop_begins();
        supervisor_.worker_serves();
    }

    event_source* source() noexcept override
    {
        return in_worker_ ? Server::source() : &supervisor_;
    }

    bool wait_for_requests(base_server::clock::time_point until, bool abortable) override
    {
        if (in_worker_)
            return Server::wait_for_requests(until, abortable);
        // The loop may not have come to it yet.
        supervisor_.drain();
        // Aborted workers see to their requests in the same time, and then go.
        if (!abortable && until < base_server::clock::time_point::max() - time_to_go)
            until += time_to_go;
        return this->attend(
            supervisor_, [this] { return supervisor_.size() == 0; }, until, abortable);
    }

    void abort_requests() noexcept override
    {
        if (in_worker_)
            Server::abort_requests();
        else
            supervisor_.abort();
    }

    void kill_requests() noexcept override
    {
        if (in_worker_)
            Server::kill_requests();
        else
            supervisor_.kill();
    }

    void after_fork(fork_role role) override
    {
        Server::after_fork(role);
        supervisor_.after_fork(role);
    }

private:
    static constexpr std::chrono::seconds time_to_go{1};

    void be_a_worker(base_server::duration poll_interval)
    {
        in_worker_ = true;
        supervisor_.worker_lasts(max_requests, max_requests_jitter.value_or(max_requests / 10));
        this->run_as_worker([&] { Server::serve(poll_interval); });
    }

    worker_supervisor supervisor_;
    bool in_worker_ = false;
};

} // namespace socketserver

#endif
