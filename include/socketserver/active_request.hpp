// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_ACTIVE_REQUEST_HPP
#define SOCKETSERVER_ACTIVE_REQUEST_HPP

#include <socketserver/config.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/request_place.hpp>

#include <atomic>
#include <chrono>

namespace socketserver {

class base_server;
class interruptible;
class request_registry;
class stream;

/** A request in progress: whose it is, since when, and what an abort must end.

    A server knows its requests by these, and so can wait for them and end them. Whoever runs a
    request makes it the current one meanwhile: a stream that @ref connect makes then belongs to it.
*/
class SOCKETSERVER_DECL active_request
{
public:
    /** The clock of @ref since. */
    using clock = std::chrono::steady_clock;

    /** A request that has not begun.

        @param server The server; it must outlive the request.
    */
    explicit active_request(base_server& server) noexcept;

    active_request(active_request const&) = delete;
    active_request& operator=(active_request const&) = delete;

    /** End the request. */
    virtual ~active_request();

    /** Begin: from now on the server waits for this request.

        @param client Who asked.
        @param primary The stream of the request, if it has one.
    */
    void enter(endpoint const& client, stream* primary = nullptr);

    /** End: the server no longer waits for this request. */
    void leave() noexcept;

    /** Run the request to its end; what a strategy calls where it chose to.

        Made by the pipeline when a strategy takes a request away from the loop.
    */
    virtual void run();

    /** Make all that the request waits for fail, now and ever after.

        @par Thread safety
        Any thread, and a signal handler, between @ref enter and @ref leave.
    */
    void abort() noexcept;

    /** Return whether the request was aborted.

        @return Whether every wait of the request fails.
    */
    bool aborted() const noexcept { return aborted_.load(std::memory_order_relaxed); }

    /** Add to what an abort of the request ends.

        @param wait What the request waits for, the transport of a stream for example; it leaves the
        request by itself.
    */
    void attach(interruptible& wait) noexcept;

    /** Take something away from the request.

        @param wait What was attached.
    */
    void detach(interruptible& wait) noexcept;

    /** Return whether a stream of the request uses a descriptor.

        @param descriptor The descriptor.
        @return Whether it is the request's.
    */
    bool owns(int descriptor) const noexcept;

    /** Forget what other threads were doing, in a process that was just forked. */
    void after_fork() noexcept;

    /** Send what the streams of the request hold back; called before every wait. */
    void flush_pending() noexcept;

    /** Give @ref place back, because the handler has returned. */
    void give_back_place() noexcept;

    /** The place of the request among those in progress; given back when the request ends, if it
        was not before. */
    request_place place;

    /** Return the server of the request.

        @return The server.
    */
    base_server& server() const noexcept { return server_; }

    /** Return who asked.

        @return The endpoint of the client.
    */
    endpoint const& client() const noexcept { return client_; }

    /** Return when the request began.

        @return The time of @ref enter, or a few milliseconds before: the system's last tick.
    */
    clock::time_point since() const noexcept { return since_; }

    /** Return the request that the calling thread or coroutine runs.

        @return The request, or null outside of one.
    */
    static active_request* current() noexcept;

    /** Makes a request the current one for as long as it lives. */
    class SOCKETSERVER_DECL scope
    {
    public:
        /** Make a request the current one.

            @param request The request; null for none.
        */
        explicit scope(active_request* request) noexcept;

        scope(scope const&) = delete;
        scope& operator=(scope const&) = delete;

        /** Make the one before it the current one again. */
        ~scope();

    private:
        active_request* before_;
    };

private:
    friend class request_registry;
    friend class stream_io;

    request_counts& counts() noexcept;

    base_server& server_;
    endpoint client_;
    clock::time_point since_{};
    bool entered_ = false;
    active_request* before_ = nullptr;
    active_request* after_ = nullptr;

    // A list that threads and signal handlers may walk at any time: pins_ counts the walkers, and
    // what has been taken out is not gone before they have passed.
    std::atomic<bool> aborted_{false};
    std::atomic<int> pins_{0};
    std::atomic<interruptible*> first_{nullptr};
    class changing;
    // Held for a few instructions, by every request: cheaper than a mutex.
    std::atomic<bool> changes_{false};
};

} // namespace socketserver

#endif
