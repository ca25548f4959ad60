// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_BASE_SERVER_HPP
#define SOCKETSERVER_BASE_SERVER_HPP

#include <socketserver/active_request.hpp>
#include <socketserver/config.hpp>
#include <socketserver/counters.hpp>
#include <socketserver/endpoint.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>

namespace socketserver {

enum class log_severity;

class loop_wait;
class request_counts;
class request_registry;

template <class Server>
class ready;

/** What a strategy adds to the wait of the loop: a descriptor, and what to do when it is readable.

    @par Thread safety
    Called by the thread that runs the loop.
*/
class SOCKETSERVER_DECL event_source
{
public:
    virtual ~event_source();

    /** Return the descriptor to wait for.

        @return A descriptor, readable when there is something to do, or -1 for none.
    */
    virtual int descriptor() const noexcept = 0;

    /** Return when there is something to do even if the descriptor is silent.

        @return The time; `time_point::max()` for never.
    */
    virtual std::chrono::steady_clock::time_point next_timer() const noexcept;

    /** Wait, for a source that has no descriptor: for what it knows, and for others' descriptors.

        The loop asks for it in every turn. This one leaves the wait to the loop.

        @param others Descriptors that end the wait when they are readable, non-blocking or about to
        be; -1 stands for none.
        @param until When it ends at the latest.
        @return Whether it has waited; if so, the loop looks at the descriptors, and at
        @ref next_timer, without waiting.
        @throws boost::system::system_error The descriptors cannot be waited for; it ends the loop.
    */
    virtual bool wait_with(
        std::span<int const> others, std::chrono::steady_clock::time_point until);

    /** Do what there is to do, without waiting. What it throws ends the loop. */
    virtual void run() = 0;
};

/** What a process that was just forked is for. */
enum class fork_role
{
    /** It serves on, from the listener that it shares with others. */
    worker,
    /** It handles one request and goes. */
    request,
    /** It forks children that do, and handles none itself. */
    fork_server
};

/** What happens to the next request when a server is at a limit. */
enum class at_limit
{
    /** It waits in the system's queue until a place is free. */
    defer,
    /** It is closed, after `refuse_request` had its say. A thread pool has its queue all the same:
        see `max_queue`. */
    refuse,
    /** The loop runs it itself, and takes no other meanwhile. For the strategies with threads. */
    caller_runs
};

/** The loop: waits until a request can be taken, takes it, and can be told to stop.

    Knows no request and no socket, only a handle that becomes readable. See Python's
    `socketserver.BaseServer`, whose words these are.

    A server is made by @ref ready, which binds it when it is whole and ends its requests before it
    is taken apart. Constructing one starts no thread and no timer: they begin with the serving.

    @par Thread safety
    @ref shutdown, @ref request_shutdown, @ref server_close and @ref end_requests may be called
    from any thread, the last not from a request. Attributes say which thread reads them; the hooks
    say which thread calls them.
*/
class SOCKETSERVER_DECL base_server
{
public:
    /** Times given to a server. */
    using duration = std::chrono::nanoseconds;

    /** The clock of the server. */
    using clock = std::chrono::steady_clock;

    base_server(base_server const&) = delete;
    base_server& operator=(base_server const&) = delete;

    virtual ~base_server();

    /** @name Methods to call */
    /** @{ */

    /** Take requests until told to stop.

        While an earlier loop, which was told to, still waits for its requests, this waits as well.

        @param poll_interval How often @ref service_actions is called when nothing else happens;
        more than zero. It delays nothing: a request or a @ref shutdown is seen at once.
        @throws std::logic_error The server is served already, or closed.
        @throws std::invalid_argument The interval is not more than zero, a limit is 0, or
        @ref when_full is what the strategy cannot do.
        @throws boost::system::system_error The listener is unusable.
        @throws ... What @ref service_actions throws.
    */
    void serve_forever(duration poll_interval = std::chrono::milliseconds(500));

    /** Take one request, waiting for it as long as @ref timeout.

        Calls @ref handle_timeout when none came. Returns when told to stop. Returns without having
        taken a request when the one that came was gone or not to be taken.

        @throws std::logic_error The server is served already, or closed, or its strategy cannot
        serve so (pre-forking).
        @throws std::invalid_argument A limit is 0, or @ref when_full is what the strategy cannot do.
        @throws boost::system::system_error The listener is unusable.
    */
    virtual void handle_request();

    /** Stop the loop, or else the next one to start, and wait until it has ended.

        Waits for a request that the loop itself runs (the synchronous strategy), not for those of
        threads, children or coroutines. Does not wait if no loop runs, nor if the caller is the
        loop's thread or a request of this server.
    */
    void shutdown();

    /** Ask the loop, or else the next one to start, to stop; do not wait.

        In a child or worker process, it asks the loop of the process that serves.

        @par Thread safety
        Any thread, and a signal handler.
    */
    void request_shutdown() noexcept;

    /** Ask that all requests be aborted: a drain that is under way ends.

        @par Thread safety
        Any thread, and a signal handler.
    */
    void request_abort() noexcept;

    /** Ask the server to renew what it can while it serves: what SIGHUP means under
        @ref run_until_signal.

        @return Whether it does. A server by itself has nothing to renew: false. A pre-forking one
        replaces its workers.

        @par Overridden by
        Classes that have more to renew; they only ask their loop to do it, and call the inner one.

        @par Thread safety
        Any thread, and a signal handler.
    */
    virtual bool request_renewal() noexcept;

    /** Stop serving and give back the listener, then wait for the requests.

        Waits up to @ref drain_timeout for the requests in progress, or not at all if
        @ref block_on_close is false; a request of this server that calls it is not waited for.
        Requests that last longer go on, until @ref end_requests.

        @par Overridden by
        Classes that hold more than the listener; they call the inner one.
    */
    virtual void server_close();

    /** End all requests: wait for them for the rest of @ref drain_timeout, abort them, and wait
        for them for @ref abort_timeout.

        A child process that has not ended then is killed. A thread or coroutine that has not ended
        uses what is about to be destroyed: that is logged and the process ends.

        @par Called by
        @ref ready, before the server is destroyed. Closes the server if that was not done.
    */
    void end_requests();

    /** Return the descriptor that becomes readable when a request can be taken.

        For programs that wait for several servers and call @ref handle_request themselves.

        @return The descriptor, or -1 when the server is not bound or was closed.
    */
    virtual int fileno() const noexcept = 0;

    /** Return where the server listens.

        @return The endpoint, with the real port once the server is bound.
    */
    virtual endpoint const& server_address() const noexcept = 0;

    /** Return what the server has counted, in all its processes.

        @par Thread safety
        Any thread, and any process of the server.

        @return The numbers as they are now.
    */
    server_counters counters() const noexcept;

    /** Return how the server has ended.

        @return The report; all zero before @ref end_requests.
    */
    closing_report report() const noexcept;

    /** Ask the loop to log @ref counters, as `info`. A loop that runs a request itself does it
        afterwards. A worker process logs them as well, if it is asked; a child process does not.

        @par Thread safety
        Any thread, and a signal handler.
    */
    void request_counters_log() noexcept;

    /** @} */
    /** @name Attributes */
    /** @{ */

    /** How long @ref handle_request waits for a request; none for as long as it takes.

        Read by the thread that calls it.
    */
    std::optional<duration> timeout;

    /** Whether @ref server_close waits for the requests in progress. Read by its caller. */
    bool block_on_close = true;

    /** How long requests in progress may go on once the server is closed. Read by
        @ref server_close and @ref end_requests, and by what ends a worker process. */
    duration drain_timeout = std::chrono::seconds(30);

    /** How long aborted requests may take to end. Read by @ref end_requests. */
    duration abort_timeout = std::chrono::seconds(5);

    /** How many requests may be in progress at once, in all processes of the server, more than 0;
        none for as many as the strategy has room for. One is in progress until its handler has
        returned. Read by the loop's thread. */
    std::optional<std::size_t> max_active;

    /** How many requests a client may have in progress at once, in all processes of the server,
        more than 0; none for as many as it likes.

        A client is an IPv4 address, or the network of 64 bits of an IPv6 address. Clients of Unix
        sockets have no address and are not limited. One request too many is refused, whatever
        @ref when_full says: to make it wait would make all others wait. Read when serving begins.
    */
    std::optional<std::size_t> max_active_per_client;

    /** What happens to the next request when there is no room, by the strategy or by
        @ref max_active. Read by the loop's thread.

        A server that is at @ref max_active defers under `caller_runs`, too. A loop that runs its
        requests itself has nobody to refuse: the next client waits, whatever this says.
    */
    at_limit when_full = at_limit::defer;

    /** @} */
    /** @name Hooks */
    /** @{ */

    /** Bind the server to its address. Called once, by the thread that makes the server. */
    virtual void server_bind() = 0;

    /** Begin to listen. Called once, after @ref server_bind. */
    virtual void server_activate() = 0;

    /** Do what has to be done now and then.

        Called by the loop's thread, in every turn of the loop: after the requests that a wait
        brought, and every `poll_interval`. What it throws ends the loop and is thrown by
        @ref serve_forever.
    */
    virtual void service_actions();

    /** Take notice that no more requests are taken: say goodbye, for example.

        Does nothing. Called once for every loop that ends, by its thread, before the requests that
        are still in progress are waited for: those of threads and coroutines. In a pre-forking
        server it is called in every worker, and in the supervising process. What it throws is
        logged.
    */
    virtual void server_stopping();

    /** Called by @ref handle_request when no request came in time. Does nothing. */
    virtual void handle_timeout();

    /** Bind and listen; on failure close, and pass the exception on.

        @throws std::logic_error The server is active already; it stays so.

        Called by @ref ready, or by the user of a server made with `defer_activation`.
    */
    void activate();

    /** @} */

protected:
    base_server();

    /** Run the loop, in whatever way the strategy does. Called by @ref serve_forever.

        @param poll_interval The interval of @ref service_actions.
    */
    virtual void serve(duration poll_interval);

    /** Take notice that requests are waited for from now on: called by the loop's thread, once for
        every loop of @ref serve_forever that takes requests. Does nothing. */
    virtual void loop_begins() noexcept {}

    /** Take the request that is there, if any, and see it on its way.

        @return Whether there was one.
    */
    virtual bool take_request() = 0;

    /** Return whether a request was taken that could not be served yet. */
    virtual bool has_kept_request() const noexcept { return false; }

    /** Close the request that could not be served yet, if there is one. */
    virtual void drop_kept_request() noexcept {}

    /** Return whether the strategy has room for one more request.

        While it has not, the loop leaves requests in the kernel's queue. Called by the loop's
        thread.

        @return True by default.
    */
    virtual bool has_room() const noexcept;

    /** Return whether the loop may run a request itself where the strategy has no room.

        @return True by default. A strategy whose requests the loop's thread would hold up, or that
        isolates them from it, does not let it.
    */
    virtual bool caller_may_run() const noexcept;

    /** Return whether a limit is 0, so that no request could ever be served: then
        @ref serve_forever and @ref handle_request refuse to.

        @return True if @ref max_active or @ref max_active_per_client is.

        @par Overridden by
        Strategies, each for the limits that it has; they call the inner one.
    */
    virtual bool serves_nobody() const noexcept;

    /** Return what is counted. */
    request_counts& counts() noexcept;

    /** Return what is counted. */
    request_counts const& counts() const noexcept;

    /** Return what the loop waits for besides requests.

        @return The source, or null.
    */
    virtual event_source* source() noexcept;

    /** Count what waits in the system's queue, when no loop will take it any more.

        Called once, before @ref close_listener, by the process that made the server. It may take
        out what it counts.

        @return How much that is; 0 where nobody knows.
    */
    virtual std::size_t left_in_queue() noexcept;

    /** Give back the listener. Called once, when no loop uses it any more. */
    virtual void close_listener() noexcept = 0;

    /** Make anew what a fork does not carry. Called in the new process, by its only thread.

        This one sets the signals of the process: SIGINT is ignored; SIGTERM aborts the request of
        a @ref fork_role::request, and makes a @ref fork_role::worker end its loop, which from now
        on obeys a stop signal of its own; SIGQUIT aborts the requests of a worker. A worker ends
        its loop when its parent dies, too. A @ref fork_role::fork_server keeps all
        signals back.

        @param role What the new process is for.

        @par Overridden by
        Every class that holds a thread, a descriptor or a lock; it calls the inner one.
    */
    virtual void after_fork(fork_role role);

    /** Return whether @ref server_close waits.

        @return @ref block_on_close.
    */
    virtual bool waits_on_close() const noexcept;

    /** Wait for all requests but the caller's.

        @param until How long to wait at most.
        @param abortable Whether @ref request_abort ends the wait.
        @return Whether none is left.
    */
    virtual bool wait_for_requests(clock::time_point until, bool abortable);

    /** Make what the requests wait for fail. */
    virtual void abort_requests() noexcept;

    /** End what an abort did not end: by default, log it and end the process. */
    virtual void kill_requests() noexcept;

    /** Run the loop until told to stop.

        @param poll_interval The interval of @ref service_actions.
        @param listening Whether to take requests, or only to attend to @ref source.
    */
    void run_loop(duration poll_interval, bool listening = true);

    /** Stop taking requests for a while, because one could not be taken.

        The loop tries again after 5 ms, doubling up to 1 s, and at once when a request ends.

        @param reason What went wrong; logged when the pause begins.
    */
    void pause_taking(char const* reason) noexcept;

    /** Note that a request could be taken: the next pause is short again. */
    void resume_taking() noexcept;

    /** Throw unless the server is bound and nobody serves it.

        @param operation Whose error it is.
        @throws std::logic_error The server is served, closed, or not bound.
    */
    void require_unserved(char const* operation) const;

    /** Attend to a source until something is done. What the source throws ends nothing.

        @param events The source.
        @param done Tells whether it is done.
        @param until How long at most.
        @param abortable Whether @ref request_abort ends it.
        @return What `done` returned last.
    */
    bool attend(event_source& events, std::function<bool()> const& done, clock::time_point until,
        bool abortable);

    /** Be a worker process: serve from the listener that is shared with others until told to stop,
        drain, and leave the process.

        @param serve Runs the loop.
    */
    [[noreturn]] void run_as_worker(std::function<void()> const& serve) noexcept;

    /** Tell the loop that a request has ended, if it waits for that. Any thread. */
    void note_place_freed() noexcept;

    /** Return whether @ref request_abort was called. */
    bool abort_requested() const noexcept;

    /** Return whether the calling thread runs the loop of this server. */
    bool in_loop_thread() const noexcept;

    /** Return the request that the loop's own thread is occupied with. */
    active_request& loop_request() noexcept;

private:
    template <class Server>
    friend class ready;
    friend class active_request;
    friend class process_signals;
    friend class request_registry;

    class serving_scope;

    void check_limits(char const* operation);
    bool is_full() const noexcept;
    void report_closing() noexcept;
    void say_waiting() noexcept;
    void say_aborting() noexcept;
    void loop_ended() noexcept;
    bool wait_turn(loop_wait& wait, bool listening, clock::time_point until);
    bool may_take(clock::time_point& until);
    void end_listening() noexcept;
    void say(log_severity severity, char const* what, char const* why = nullptr) const noexcept;
    bool is_part_of_serving() const noexcept;
    void request_worker_stop() noexcept;
    void request_close() noexcept;

    // Only ready<> can: a server class outside of it is abstract.
    virtual void a_server_must_be_made_by_ready() = 0;

    struct state;
    std::unique_ptr<state> state_;
};

} // namespace socketserver

#endif
