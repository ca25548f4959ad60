// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_THIS_REQUEST_HPP
#define SOCKETSERVER_THIS_REQUEST_HPP

#include <socketserver/awaited_operation.hpp>
#include <socketserver/config.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace socketserver {

/** What a handler waits for besides its stream.

    Under a strategy whose handlers own a thread or a process, such a wait blocks that; under the
    coroutine strategy it suspends the coroutine, and others run. Before each of them what the
    streams of the request hold back is sent; an abort of the request ends it with
    `boost::asio::error::operation_aborted`. Outside of any request these functions merely block.

    @par Thread safety
    They belong to the request that the calling thread or coroutine runs.
*/
namespace this_request {

/** Wait for a while.

    @param duration How long; with zero or less, other coroutines run once.
    @param ec Set to `operation_aborted` when the request is aborted, or to what the system says.
*/
SOCKETSERVER_DECL void sleep_for(std::chrono::nanoseconds duration, boost::system::error_code& ec);

/** Wait for a while.

    @param duration How long; with zero or less, other coroutines run once.
    @throws boost::system::system_error The request is aborted (`operation_aborted`).
*/
SOCKETSERVER_DECL void sleep_for(std::chrono::nanoseconds duration);

/** Call a function that blocks; what @ref blocking does for a function that returns nothing.

    @param f The function.
    @throws boost::system::system_error As there.
    @throws ... What the function throws.
*/
SOCKETSERVER_DECL void call_blocking(std::function<void()> const& f);

/** Call a function that blocks: a query, a resolver, a file on a slow disk, a long computation.

    In a coroutine it is called in one of at most 16 threads of the server, which are started when
    they are needed, and the coroutine waits for its end; when all of them are taken, the call waits
    for its turn. Elsewhere it is simply called. Within it, @ref active_request::current is the
    request, but the streams of the request must be left alone.

    The function is not interrupted by an abort, for it may use what its caller owns: it ends, and
    then this throws.

    @param f The function, without parameters.
    @return What it returns.
    @throws boost::system::system_error The request is aborted (`operation_aborted`); the function
    is not called if it was before. There is no descriptor to wait with.
    @throws std::system_error There is no thread to call it in.
    @throws ... What the function throws.
*/
template <class Function>
std::invoke_result_t<Function> blocking(Function&& f)
{
    using result = std::invoke_result_t<Function>;
    if constexpr (std::is_void_v<result>)
        call_blocking([&f] { std::invoke(std::forward<Function>(f)); });
    else if constexpr (std::is_reference_v<result>)
    {
        std::remove_reference_t<result>* to = nullptr;
        call_blocking([&] {
            auto&& given = std::invoke(std::forward<Function>(f));
            to = std::addressof(given);
        });
        return static_cast<result>(*to);
    }
    else
    {
        std::optional<result> given;
        call_blocking([&] { given.emplace(std::invoke(std::forward<Function>(f))); });
        return std::move(*given);
    }
}

/** Return the executor of what a request awaits, for Asio's timers, sockets, pipes, resolvers.

    One thread of the library, started by the first @ref await of the process, runs what completes
    there; it must not be blocked.

    @return The executor; @ref stream::get_executor gives it, too.
*/
SOCKETSERVER_DECL boost::asio::any_io_executor get_executor();

/** Begin an asynchronous operation of Asio's and wait for its end.

    @code
    asio::steady_timer timer(this_request::get_executor(), 1s);
    this_request::await([&](auto token) { return timer.async_wait(token); });
    @endcode

    An abort of the request cancels the operation (`asio::cancellation_type::all`) and waits for its
    end, because it uses what its caller owns. One that Asio cannot cancel, such as resolving a name,
    is waited for all the same.

    @param f Begins the operation with the completion token that it is given, and returns what the
    operation's initiating function returns.
    @param ec What the operation says as its first result; `operation_aborted` when the request is
    aborted.
    @return The other results of the operation: nothing, one value, or a tuple of them. Where it was
    destroyed before it ended, values made by default; if there are none, that throws.
    @throws boost::system::system_error There is no descriptor to wait with.
    @throws std::system_error There is no thread to complete it.
    @throws ... What `f` throws.
*/
template <class Function>
auto await(Function&& f, boost::system::error_code& ec)
{
    auto operation = std::forward<Function>(f)(await_token());
    static_assert(
        requires { std::move(operation).get(ec); },
        "await: the function must return what the operation returns that is given the token");
    return std::move(operation).get(ec);
}

/** Begin an asynchronous operation of Asio's and wait for its end.

    @param f Begins the operation with the completion token that it is given, and returns what the
    operation's initiating function returns.
    @return The results of the operation but its error code: nothing, one value, or a tuple of them.
    @throws boost::system::system_error What the operation says as its first result;
    `operation_aborted` when the request is aborted. There is no descriptor to wait with.
    @throws std::system_error There is no thread to complete it.
    @throws ... What `f` throws, and an exception that is the operation's first result.
*/
template <class Function>
auto await(Function&& f)
{
    boost::system::error_code ec;
    if constexpr (std::is_void_v<decltype(await(std::forward<Function>(f), ec))>)
    {
        await(std::forward<Function>(f), ec);
        if (ec)
            throw boost::system::system_error(ec, "await");
    }
    else
    {
        auto result = await(std::forward<Function>(f), ec);
        if (ec)
            throw boost::system::system_error(ec, "await");
        return result;
    }
}

} // namespace this_request

} // namespace socketserver

#endif
