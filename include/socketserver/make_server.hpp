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

/** A server class that a strategy can be chosen for. */
template <class Server>
concept without_strategy = !dispatching<Server> && !serving<Server> && !std::is_final_v<Server>;

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
    static_assert(without_strategy<Server>,
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

/** What is done to a server of @ref make_server before it is bound.

    @tparam F A function that takes the server, of whatever class the strategy makes it.
*/
template <class F>
struct configured
{
    /** Wrap a function.

        @param f Called once, with a server that is not bound yet.
    */
    explicit configured(F f)
        : configure(std::move(f))
    {
    }

    /** The function. */
    F configure;
};

/** Make a server whose strategy is chosen at run time, and set its attributes before it is bound.

    With `fork-server` this is what has to be done before the program's first thread.

    The function is called with the class that the strategy makes, of which some have attributes
    that others have not. The numbers of the text are set after it: it has the defaults, and the
    text the last word.

    @code
    auto server = make_server<tcp_server>(text, configured([](auto& s) {
        s.request_queue_size = 100;
        if constexpr (requires { s.max_threads; })
            s.max_threads = 50;
    }), ":8009", handler<greeter>);
    @endcode

    @tparam Server The server class, without a strategy.
    @tparam Outermost Makes the complete class of a class with a strategy: @ref ready, or a template
    that puts hooks of yours between the strategy and @ref ready.
    @param choice The strategy, or its text.
    @param first What is done to the server before it is bound.
    @param arguments What the constructor of the server takes.
    @return The server, listening.
    @throws std::invalid_argument The text names no strategy.
    @throws ... What the function, or making the server, throws.
*/
template <class Server, template <class> class Outermost = ready, class F, class... Arguments>
std::unique_ptr<base_server> make_server(
    strategy const& choice, configured<F> first, Arguments&&... arguments)
{
    static_assert(without_strategy<Server>,
        "a strategy is chosen for a server class that has none yet, such as tcp_server: the "
        "mixin and ready are added by make_server");
    if constexpr (without_strategy<Server>)
        return with_strategy<Server>(choice,
            [&]<class Strategic>(std::type_identity<Strategic>) -> std::unique_ptr<base_server> {
                auto server = std::make_unique<Outermost<Strategic>>(
                    defer_activation, std::forward<Arguments>(arguments)...);
                first.configure(*server);
                apply(*server, choice);
                server->activate();
                if constexpr (requires { server->start_fork_server(); })
                    if (choice.dispatching() == strategy::dispatch::fork_server)
                        server->start_fork_server();
                return server;
            });
    else
        return nullptr;
}

/** A server class made complete, to see what its constructors take; there never is one. */
template <class Server>
class only_constructed final : public Server
{
public:
    using Server::Server;

private:
    void a_server_must_be_made_by_ready() override {}
};

/** Whether the constructors of a server class take all these arguments but the first, and not all.

    @tparam Complete The server class within @ref ready; of any other this says false.
    @tparam Arguments The types of the arguments.
*/
template <class Complete, class... Arguments>
inline constexpr bool takes_all_but_the_first = false;

/** What the general form says, of @ref ready and one argument or more. */
template <without_strategy Server, class First, class... Rest>
inline constexpr bool takes_all_but_the_first<ready<Server>, First, Rest...> =
    !std::is_constructible_v<only_constructed<Server>, First, Rest...> &&
    std::is_constructible_v<only_constructed<Server>, Rest...>;

/** Make a server whose strategy is chosen at run time.

    @code
    auto server = make_server<tcp_server>("preforking:4/coroutine", ":8009", handler<greeter>);
    return run_until_signal(*server);
    @endcode

    As the other form, with nothing to be set before.

    @tparam Server The server class, without a strategy.
    @tparam Outermost Makes the complete class of a class with a strategy.
    @param choice The strategy, or its text.
    @param arguments What the constructor of the server takes.
    @return The server, listening.
    @throws std::invalid_argument The text names no strategy.
    @throws ... What making the server throws.
*/
template <class Server, template <class> class Outermost = ready, class... Arguments>
std::unique_ptr<base_server> make_server(strategy const& choice, Arguments&&... arguments)
{
    constexpr bool is_bare = takes_all_but_the_first<Outermost<Server>, Arguments&&...>;
    static_assert(!is_bare,
        "the server takes no such first argument: a function that sets its attributes before it is "
        "bound is given as configured(f)");
    if constexpr (is_bare)
        return nullptr;
    else
        return make_server<Server, Outermost>(
            choice, configured([](auto&) {}), std::forward<Arguments>(arguments)...);
}

} // namespace socketserver

#endif
