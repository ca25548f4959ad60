// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_HANDLER_FACTORY_HPP
#define SOCKETSERVER_HANDLER_FACTORY_HPP

#include <socketserver/datagram.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/request_handler.hpp>
#include <socketserver/stream.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace socketserver {

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

/** Datagrams are handled by @ref datagram_request_handler. */
template <>
struct request_handler_for<datagram>
{
    /** The handler. */
    using type = datagram_request_handler;
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

/** What stands for a handler that the compiler has refused, so that it says so once. */
struct refused_handler
{
};

/** The type of @ref handler.

    @tparam Handler A class derived from a request handler.
*/
template <class Handler>
struct handler_class
{
private:
    template <class Stored, class Argument>
    static constexpr bool storable =
        std::constructible_from<Stored, Argument>&& std::move_constructible<Stored>;

    // Not deduced: whoever asks whether this can be called must not be refused.
    template <class... Arguments>
    using bound =
        std::conditional_t<(storable<std::unwrap_ref_decay_t<Arguments>, Arguments> && ...),
            bound_handler<Handler, std::unwrap_ref_decay_t<Arguments>...>, refused_handler>;

public:
    /** Bind arguments to the constructor of the handler.

        @param arguments Stored by decay copy; `std::ref` shares instead.
        @return What a server takes, a @ref bound_handler.
    */
    template <class... Arguments>
    bound<Arguments...> operator()(Arguments&&... arguments) const
    {
        constexpr bool copies = !std::same_as<bound<Arguments...>, refused_handler>;
        static_assert(copies,
            "handler<H>(args...): an argument cannot be copied; std::ref(argument) shares it with "
            "all handlers");
        if constexpr (copies)
            return {std::tuple<std::unwrap_ref_decay_t<Arguments>...>(
                std::forward<Arguments>(arguments)...)};
        else
            return {};
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
            "stream_request_handler or datagram_request_handler");
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
             !std::invocable<Other const&, Request&, endpoint const&>) handler_factory(Other const&)
    {
        // Of a refused handler everything has been said.
        static_assert(std::same_as<Other, refused_handler>,
            "what handles requests is handler<H>, handler<H>(args...), or a callable that can be "
            "called as const with (R&) or (R&, endpoint const&), where R is stream or, for a "
            "server of datagrams, datagram");
    }

    /** Make the handler of one request.

        @return The handler.
        @throws ... What its constructor throws.
    */
    std::unique_ptr<handler_type> make() const { return maker_->make(); }

    /** Make the handler of one request, and run it.

        It lies on the stack of the caller, or on the heap if it has more than 512 bytes.

        @param request The request.
        @param client_address Who asked.
        @param server The server.
        @throws ... What its constructor throws, or `base_request_handler::run`.
    */
    void run(Request& request, endpoint const& client_address, base_server& server) const
    {
        maker_->run(request, client_address, server);
    }

private:
    static constexpr std::size_t most_on_stack = 512;

    struct maker
    {
        virtual ~maker() = default;
        virtual std::unique_ptr<handler_type> make() const = 0;
        virtual void run(
            Request& request, endpoint const& client_address, base_server& server) const = 0;
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

        void run(
            Request& request, endpoint const& client_address, base_server& server) const override
        {
            if constexpr (sizeof(Handler) <= most_on_stack &&
                          std::constructible_from<Handler, Arguments const&...>)
                std::apply(
                    [&](auto&... arguments) {
                        Handler made(arguments...);
                        static_cast<handler_type&>(made).run(request, client_address, server);
                    },
                    bound.arguments);
            else
                make()->run(request, client_address, server);
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

        void run(
            Request& request, endpoint const& client_address, base_server& server) const override
        {
            calls made(callable);
            static_cast<handler_type&>(made).run(request, client_address, server);
        }

        Callable callable;
    };

    std::shared_ptr<maker const> maker_;
};

} // namespace socketserver

#endif
