// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_REQUEST_HANDLER_HPP
#define SOCKETSERVER_REQUEST_HANDLER_HPP

#include <socketserver/config.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/stream.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace socketserver {

class base_server;

/** A conversation over one request: set up, handle, finish.

    The library makes one object a request, tells it the request, and calls the three steps in
    order, all in the thread, process or coroutine that the server's strategy chose. See Python's
    `socketserver.BaseRequestHandler`.

    @tparam Request What is handled: @ref stream.
*/
template <class Request>
class base_request_handler
{
public:
    base_request_handler(base_request_handler const&) = delete;
    base_request_handler& operator=(base_request_handler const&) = delete;

    virtual ~base_request_handler() = default;

    /** @name Methods to override */
    /** @{ */

    /** Prepare. Does nothing. If it throws, neither of the others is called. */
    virtual void setup() {}

    /** Serve the request. */
    virtual void handle() = 0;

    /** Clean up. Does nothing. Called whenever @ref setup succeeded, after @ref handle threw
        too. */
    virtual void finish() {}

    /** @} */
    /** @name What is handled: from setup() on, not in the constructor */
    /** @{ */

    /** Return the request.

        @return The request; it lives as long as the handler.
    */
    Request& request() const noexcept { return *request_; }

    /** Return who asked.

        @return The endpoint of the client; it lives as long as the handler.
    */
    endpoint const& client_address() const noexcept { return *client_address_; }

    /** Return the server.

        @return The server; it outlives the handler.
    */
    base_server& server() const noexcept { return *server_; }

    /** @} */

    /** Handle a request: tell the handler of it, then setup(), handle() and finish().

        @param request The request.
        @param client_address Who asked.
        @param server The server.
        @throws ... What a step throws; if both handle() and finish() throw, what handle() threw,
        and the other is logged.

        @par Called by
        `finish_request`.
    */
    void run(Request& request, endpoint const& client_address, base_server& server);

protected:
    base_request_handler() = default;

private:
    // The library's own share of setup and finish, so that overriding those loses nothing.
    virtual void attached() {}
    virtual void handled() {}
    virtual void finished() {}

    void log_second(std::exception_ptr error) const noexcept;

    Request* request_ = nullptr;
    endpoint const* client_address_ = nullptr;
    base_server* server_ = nullptr;
};

extern template class SOCKETSERVER_DECL base_request_handler<stream>;

/** A conversation over a connection: derive from it and override handle().

    @code
    class greeter : public socketserver::stream_request_handler
    {
        void handle() override
        {
            for (std::string line; std::getline(rfile(), line);)
                wfile() << "hello, " << line << '\n';
        }
    };
    @endcode

    Attributes are set in the constructor of the derived class and applied before setup(). See
    Python's `socketserver.StreamRequestHandler`.
*/
class SOCKETSERVER_DECL stream_request_handler : public base_request_handler<stream>
{
public:
    ~stream_request_handler() override;

    /** The longest time that one operation may wait without moving a byte; none by default. */
    std::optional<std::chrono::nanoseconds> timeout;

    /** The longest time that the whole conversation may take; none by default. */
    std::optional<std::chrono::nanoseconds> deadline;

    /** Bytes that @ref rfile reads ahead at most; 0 reads byte by byte. */
    std::size_t rbufsize = 8192;

    /** Bytes that @ref wfile holds back at most; 0 sends every insertion at once. */
    std::size_t wbufsize = 8192;

    /** Whether small pieces are sent at once (TCP_NODELAY); without effect where it has no
        meaning. */
    bool disable_nagle_algorithm = false;

    /** Return `request().rfile()`.

        @return A standard stream that reads from the client.
    */
    std::istream& rfile() const { return request().rfile(); }

    /** Return `request().wfile()`.

        @return A standard stream that writes to the client.
    */
    std::ostream& wfile() const { return request().wfile(); }

private:
    void attached() final;
    void handled() final;
    void finished() final;
};

/** The handler that users derive from, by what it handles.

    @tparam Request What is handled.
*/
template <class Request>
struct request_handler_for;

/** Streams are handled by @ref stream_request_handler. */
template <>
struct request_handler_for<stream>
{
    /** The handler. */
    using type = stream_request_handler;
};

/** A handler class with the arguments of its constructor; what `handler<H>(args...)` returns.

    @tparam Handler The class.
    @tparam Arguments The arguments as they are stored.
*/
template <class Handler, class... Arguments>
struct bound_handler
{
    /** The arguments, passed as const from many threads at once. */
    std::tuple<Arguments...> arguments;
};

/** The type of @ref handler.

    @tparam Handler A class derived from a request handler.
*/
template <class Handler>
struct handler_class
{
    /** Bind arguments to the constructor of the handler.

        @param arguments Stored by decay copy; `std::ref` shares instead.
        @return What a server takes.
    */
    template <class... Arguments>
    bound_handler<Handler, std::unwrap_ref_decay_t<Arguments>...> operator()(
        Arguments&&... arguments) const
    {
        return {std::tuple<std::unwrap_ref_decay_t<Arguments>...>(
            std::forward<Arguments>(arguments)...)};
    }
};

/** Names a handler class where a server wants to know what handles its requests.

    `handler<greeter>` makes a `greeter()` a request, `handler<greeter>(args...)` a
    `greeter(args...)`.
*/
template <class Handler>
inline constexpr handler_class<Handler> handler{};

/** Makes the handler of a request. Copies share what they make handlers from.

    Made from `handler<H>`, from `handler<H>(args...)`, or from a callable that takes the request,
    or the request and the endpoint of the client.

    @tparam Request What is handled.

    @par Thread safety
    A handler may be made by many threads at once.
*/
template <class Request>
class handler_factory
{
public:
    /** The base of all that it makes. */
    using handler_type = base_request_handler<Request>;

    /** Make handlers of a class that is constructed without arguments. */
    template <class Handler>
    handler_factory(handler_class<Handler>)
        : handler_factory(bound_handler<Handler>())
    {
    }

    /** Make handlers of a class that is constructed from arguments.

        @param bound The arguments.
    */
    template <class Handler, class... Arguments>
    handler_factory(bound_handler<Handler, Arguments...> bound)
        : maker_(std::make_shared<from_class<Handler, Arguments...> const>(std::move(bound)))
    {
        static_assert(std::derived_from<Handler, handler_type>,
            "handler<H>: H must be derived from the request handler of the server's transport, "
            "stream_request_handler for TCP");
        static_assert(!std::is_abstract_v<Handler>,
            "handler<H>: H is abstract; it must override handle(), and every other pure function");
        static_assert(
            std::is_abstract_v<Handler> || std::constructible_from<Handler, Arguments const&...>,
            "handler<H>(args...): H cannot be constructed from these arguments as const; std::ref "
            "passes one that is not");
    }

    /** Handle requests by a callable.

        @param callable Takes `(Request&)` or `(Request&, endpoint const&)`; called by many threads
        at once.
    */
    template <class Callable>
    requires(std::invocable<Callable const&, Request&> ||
             std::invocable<Callable const&, Request&, endpoint const&>)
        handler_factory(Callable callable)
        : maker_(std::make_shared<from_callable<Callable> const>(std::move(callable)))
    {
    }

    /** Refuse what is nothing of these, and say so. */
    template <class Other>
    requires(!std::same_as<Other, handler_factory> && !std::invocable<Other const&, Request&> &&
             !std::invocable<Other const&, Request&, endpoint const&>) handler_factory(Other)
    {
        static_assert(!std::same_as<Other, Other>,
            "what handles requests is handler<H>, handler<H>(args...), or a callable that can be "
            "called as const with (stream&) or (stream&, endpoint const&)");
    }

    /** Make the handler of one request.

        @return The handler.
        @throws ... What its constructor throws.
    */
    std::unique_ptr<handler_type> make() const { return maker_->make(); }

private:
    struct maker
    {
        virtual ~maker() = default;
        virtual std::unique_ptr<handler_type> make() const = 0;
    };

    template <class Handler, class... Arguments>
    struct from_class final : maker
    {
        explicit from_class(bound_handler<Handler, Arguments...> b)
            : bound(std::move(b))
        {
        }

        std::unique_ptr<handler_type> make() const override
        {
            // Otherwise the assertions have said all that there is to say.
            if constexpr (std::derived_from<Handler, handler_type> &&
                          std::constructible_from<Handler, Arguments const&...>)
                return std::apply(
                    [](auto&... arguments) {
                        return std::unique_ptr<handler_type>(new Handler(arguments...));
                    },
                    bound.arguments);
            else
                return nullptr;
        }

        bound_handler<Handler, Arguments...> bound;
    };

    template <class Callable>
    struct from_callable final : maker
    {
        class calls final : public request_handler_for<Request>::type
        {
        public:
            explicit calls(Callable const& callable)
                : callable_(callable)
            {
            }

            void handle() override
            {
                if constexpr (std::invocable<Callable const&, Request&>)
                    callable_(this->request());
                else
                    callable_(this->request(), this->client_address());
            }

        private:
            Callable const& callable_;
        };

        explicit from_callable(Callable c)
            : callable(std::move(c))
        {
        }

        std::unique_ptr<handler_type> make() const override
        {
            return std::make_unique<calls>(callable);
        }

        Callable callable;
    };

    std::shared_ptr<maker const> maker_;
};

} // namespace socketserver

#endif
