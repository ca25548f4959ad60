// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_MAKE_SERVER_HPP
#define SOCKETSERVER_MAKE_SERVER_HPP

#include <socketserver/base_server.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/strategy.hpp>
#include <socketserver/strategy/coroutine_mixin.hpp>
#include <socketserver/strategy/forking_mixin.hpp>
#include <socketserver/strategy/preforking_mixin.hpp>
#include <socketserver/strategy/thread_pool_mixin.hpp>
#include <socketserver/strategy/threading_mixin.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace socketserver {

/** Call a function with the server class that a strategy makes of another.

    @code
    with_strategy<tcp_server>("threading", []<class S>(std::type_identity<S>)
        { ready<S> server(...); });
    @endcode

    @tparam Server The server class, without a strategy.
    @param choice The strategy. For `fork-server` the caller calls `start_fork_server()`, when the
    server is active.
    @param f Called with a `std::type_identity` of the class.
    @return What `f` returns.
*/
template <class Server, class F>
auto with_strategy(strategy const& choice, F&& f)
{
    static_assert(!dispatching<Server> && !serving<Server> && !std::is_final_v<Server>,
        "a strategy is chosen for a server class that has none yet, such as tcp_server");
    auto const served = [&]<class Dispatching>(std::type_identity<Dispatching>) {
        if (choice.preforks())
            return f(std::type_identity<preforking_mixin<Dispatching>>());
        return f(std::type_identity<Dispatching>());
    };
    switch (choice.dispatching())
    {
    case strategy::dispatch::threading:
        return served(std::type_identity<threading_mixin<Server>>());
    case strategy::dispatch::thread_pool:
        return served(std::type_identity<thread_pool_mixin<Server>>());
    case strategy::dispatch::forking:
    case strategy::dispatch::fork_server:
        return served(std::type_identity<forking_mixin<Server>>());
    case strategy::dispatch::coroutine:
        return served(std::type_identity<coroutine_mixin<Server>>());
    case strategy::dispatch::synchronous:
        break;
    }
    return served(std::type_identity<Server>());
}

/** Set the numbers of a strategy where the server has them.

    @param server A server of the class that the strategy makes, not serving yet.
    @param choice The strategy.
*/
template <class Server>
void apply(Server& server, strategy const& choice)
{
    if constexpr (requires { server.dispatching_limit(1); })
        if (choice.limit())
            server.dispatching_limit(*choice.limit());
    if constexpr (requires { server.serving_limit(1); })
        if (choice.workers())
            server.serving_limit(*choice.workers());
}

/** Make a server whose strategy is chosen at run time.

    With `fork-server` this is what has to be done before the program's first thread.

    @code
    auto server = make_server<tcp_server>("preforking:4/coroutine", ":8009", handler<greeter>);
    return run_until_signal(*server);
    @endcode

    @tparam Server The server class, without a strategy.
    @tparam Outermost Makes the complete class of a class with a strategy: @ref ready, or a template
    that puts hooks of yours between the strategy and @ref ready.
    @param choice The strategy, or its text.
    @param arguments What the constructor of the server takes.
    @return The server, listening.
    @throws std::invalid_argument The text names no strategy.
    @throws ... What making the server throws.
*/
template <class Server, template <class> class Outermost = ready, class... Arguments>
std::unique_ptr<base_server> make_server(strategy const& choice, Arguments&&... arguments)
{
    return with_strategy<Server>(choice,
        [&]<class Strategic>(std::type_identity<Strategic>) -> std::unique_ptr<base_server> {
            auto server = std::make_unique<Outermost<Strategic>>(
                defer_activation, std::forward<Arguments>(arguments)...);
            apply(*server, choice);
            server->activate();
            if constexpr (requires { server->start_fork_server(); })
                if (choice.dispatching() == strategy::dispatch::fork_server)
                    server->start_fork_server();
            return server;
        });
}

} // namespace socketserver

#endif
