// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_REQUEST_PIPELINE_HPP
#define SOCKETSERVER_REQUEST_PIPELINE_HPP

#include <socketserver/active_request.hpp>
#include <socketserver/base_server.hpp>
#include <socketserver/config.hpp>
#include <socketserver/datagram.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/handler_factory.hpp>
#include <socketserver/stream.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>

namespace socketserver {

/** Thrown by a strategy that can have no thread, process or coroutine for a request now.

    See @ref request_pipeline::process_request.
*/
class SOCKETSERVER_DECL try_again_later : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

/** The way of a request through a server, step by step.

    @code
    get_request -> verify_request -> process_request -> finish_request -> shutdown_request
                        |                                                  -> close_request
                        at a limit -> refuse_request -> shutdown_request
    @endcode

    Every step is a hook with Python's name, called in Python's order; a class that overrides one
    calls the inner one. What a hook throws ends the request, never the loop: it goes to
    @ref handle_error, and the request is shut down.

    The steps up to @ref process_request are called by the loop's thread. Those from
    @ref finish_request on are called by whatever the strategy runs requests in: the loop's thread,
    another thread, a coroutine, or a child process. Several requests may be in them at once.

    @tparam Request What is handled: @ref stream or @ref datagram.
*/
template <class Request>
class request_pipeline : public base_server
{
public:
    /** What is handled. */
    using request_type = Request;

    /** A request, with who asked. */
    struct accepted
    {
        /** The request. */
        Request request;

        /** Who asked. */
        endpoint client_address;
    };

    /** @name Hooks */
    /** @{ */

    /** Take the next request.

        @return The request; none when another process took it.
        @throws boost::system::system_error By its code, the loop tries the next one at once, tries
        again after a while (any code that it does not know), or ends (the listener is unusable).
        @throws ... After anything else the loop tries again after a while.
    */
    virtual std::optional<accepted> get_request() = 0;

    /** Decide whether to serve a request.

        @param request The request.
        @param client_address Who asked.
        @return True by default; false shuts the request down.
    */
    virtual bool verify_request(Request& request, endpoint const& client_address);

    /** Say goodbye to a request that is refused, because the server is at a limit.

        Does nothing. What it sends goes at once or not at all, for the loop must not wait: an
        operation has a millisecond, and all of them have 10, after which they fail with
        `timed_out`. The request is closed afterwards.

        @param request The request.
        @param client_address Who asked.
    */
    virtual void refuse_request(Request& request, endpoint const& client_address);

    /** Run a request: what a strategy changes.

        Runs @ref finish_request and @ref shutdown_request, at once. A strategy that keeps the
        request moves it out.

        @param request The request.
        @param client_address Who asked.
        @throws try_again_later There is nothing to run the request with now; it is as it was. The
        loop keeps it, takes no other meanwhile, and calls this again after a while. What else is
        thrown goes to @ref handle_error.
    */
    virtual void process_request(Request& request, endpoint const& client_address);

    /** Make the handler and let it handle the request.

        @param request The request.
        @param client_address Who asked.
    */
    virtual void finish_request(Request& request, endpoint const& client_address);

    /** Take leave of the peer, so that nothing sent is lost, and call @ref close_request.

        A connection is half-closed, and what its peer still sends is read, for up to 2 s and 1 MiB
        and only as long as otherwise a reply could be lost. Does not wait for a request that was
        not served, nor for a peer that took nothing until a time limit was reached. There is no
        leave to take of the sender of a datagram.

        @param request The request.
    */
    virtual void shutdown_request(Request& request);

    /** Close the request in this process.

        @param request The request.
    */
    virtual void close_request(Request& request);

    /** Report an error. Logs it: as `debug` when the peer merely went away or the request was
        aborted, as `info` when a time limit was reached, else as `error`.

        @param request The request.
        @param client_address Who asked.
        @param error What was thrown.
    */
    virtual void handle_error(
        Request& request, endpoint const& client_address, std::exception_ptr error);

    /** @} */

    /** Return what makes the handlers: Python's `RequestHandlerClass`.

        @return The factory; it lives as long as the server.
    */
    handler_factory<Request> const& handlers() const noexcept { return handlers_; }

protected:
    /** A pipeline that ends in a handler.

        @param handlers Makes the handlers.
    */
    explicit request_pipeline(handler_factory<Request> handlers);

    ~request_pipeline() override;

    /** Take the next request and see it through the steps.

        @return Whether there was one.
    */
    bool take_request() final;

    /** Take a request out of the loop, to be run elsewhere by @ref run_request.

        @param request The request; moved from.
        @param client_address Who asked.
        @param start Takes what runs the request; the server waits for it from now on. If it throws
        it must not have taken it.
        @throws try_again_later `start` has thrown; `request` is as it was.
    */
    void hand_over(Request& request, endpoint const& client_address,
        std::function<void(std::unique_ptr<active_request>&&)> const& start);

    /** Leave a request alone when the loop's own is aborted, because another process gets it.

        @param request The request.
    */
    void detach_request(Request& request) noexcept;

    /** Abort a request with the loop's own again.

        @param request The request.
    */
    void attach_request(Request& request) noexcept;

    /** Run a request where a strategy has taken it: finish_request(), handle_error() if that
        throws, and shutdown_request().

        @param request The request.
        @param client_address Who asked.
    */
    void run_request(Request& request, endpoint const& client_address);

private:
    class handed_over;

    bool has_kept_request() const noexcept final { return kept_.has_value(); }
    void drop_kept_request() noexcept final;
    void serve_request(accepted& taken, bool is_verified);
    bool admit(accepted& taken);
    void refuse(accepted& taken);
    void contain_error(Request& request, endpoint const& client_address, std::exception_ptr error);
    void contain_shutdown(Request& request, endpoint const& client_address);
    bool get_request_failed(std::exception_ptr error);

    handler_factory<Request> handlers_;
    std::optional<accepted> kept_;
};

extern template class SOCKETSERVER_DECL request_pipeline<stream>;
extern template class SOCKETSERVER_DECL request_pipeline<datagram>;

} // namespace socketserver

#endif
