// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_READY_HPP
#define SOCKETSERVER_READY_HPP

#include <socketserver/base_server.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace socketserver {

/** The type of @ref defer_activation. */
struct defer_activation_t
{
    explicit defer_activation_t() = default;
};

/** Makes a server that does not bind and listen yet: set its attributes, then call `activate()`. */
inline constexpr defer_activation_t defer_activation{};

/** A server that can be used: the most derived class of all.

    Binds and listens when the server is whole, and ends all requests while it still is: hooks that
    a class overrides are called throughout. Your own server is an ordinary class with overrides:

    @code
    class chat_server : public tcp_server
    {
        using tcp_server::tcp_server;
        bool verify_request(stream&, endpoint const& client_address) override;
    };

    ready<threading_mixin<chat_server>> server("127.0.0.1:8009", handler<chat>);
    @endcode

    It may be destroyed while another thread serves it: that ends the loop, and the destructor waits
    for it. A test that serves in a thread therefore declares the thread before the server.

    @tparam Server A server class, with or without a strategy.
*/
template <class Server>
class ready final : public Server
{
    static_assert(std::derived_from<Server, base_server>, "ready<S>: S must be a server class");

public:
    /** Make the server, bind it and listen.

        @param first The first argument that the constructor of the server takes.
        @param rest The others.
        @throws boost::system::system_error The server cannot be bound; the message names the
        address.
    */
    template <class First, class... Rest>
    requires(!std::same_as<std::remove_cvref_t<First>, defer_activation_t>) explicit ready(
        First&& first, Rest&&... rest)
        : Server(std::forward<First>(first), std::forward<Rest>(rest)...)
    {
        this->activate();
    }

    /** Make the server; the caller calls `activate()` to bind it and listen.

        @param arguments What the constructor of the server takes.
    */
    template <class... Arguments>
    explicit ready(defer_activation_t, Arguments&&... arguments)
        : Server(std::forward<Arguments>(arguments)...)
    {
    }

    /** End all requests, see @ref base_server::end_requests, and close the server. */
    ~ready() override { this->end_requests(); }

private:
    void a_server_must_be_made_by_ready() override {}
};

} // namespace socketserver

#endif
