// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_PARITY_SERVE_HPP
#define SOCKETSERVER_TEST_PARITY_SERVE_HPP

#include "commands.hpp"
#include "options.hpp"
#include "pipeline.hpp"
#include "report.hpp"
#include "verbs.hpp"

#include <socketserver/endpoint.hpp>
#include <socketserver/make_server.hpp>
#include <socketserver/strategy.hpp>

#include <cstddef>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <unistd.h>

namespace parity {

// Be the server of a transport, until the end of standard input.  One file each, because each comes
// with all strategies.
void serve_tcp();
void serve_unix_streams();
void serve_udp();
void serve_unix_datagrams();

template <class Server>
void set_attributes(Server& server)
{
    if (auto const s = option<double>("timeout"))
        server.timeout = seconds(*s);
    if (auto const on = option<int>("block-on-close"))
        server.block_on_close = *on != 0;
    if (auto const on = option<int>("reuse-addr"))
        server.allow_reuse_address = *on != 0;
    if constexpr (requires { server.request_queue_size; })
        if (auto const n = option<int>("queue"))
            server.request_queue_size = *n;
    if constexpr (requires { server.max_packet_size; })
        if (auto const n = option<std::size_t>("max-packet"))
            server.max_packet_size = *n;
    if constexpr (requires { server.max_children; })
        if (auto const n = option<std::size_t>("max-children"))
            server.max_children = *n;
    if constexpr (requires { server.daemon_threads; })
        if (auto const on = option<int>("daemon-threads"))
            server.daemon_threads = *on != 0;
}

template <class Server>
std::size_t children(Server const& server)
{
    if constexpr (requires { server.active_workers(); })
        return server.active_workers().size();
    else if constexpr (requires { server.active_children(); })
        return server.active_children().size();
    else
        return 0;
}

// The threads that the strategy keeps and server_close() waits for, idle ones included.
template <class Server>
std::string tracked(Server const& server)
{
    if (!had_threads || !server.block_on_close)
        return "none";
    // What it has joined is idle.
    bool const is_closed = server.fileno() < 0;
    bool are_daemons = false;
    if constexpr (requires { server.daemon_threads; })
        are_daemons = server.daemon_threads;
    return is_closed || are_daemons ? "0" : std::to_string(strategy_threads());
}

[[noreturn]] inline void fail(python_error const& error)
{
    report("FAIL", error.type, error.number);
    std::_Exit(9);
}

// Where to listen.  An address that cannot be is Python's OSError too, one without a number.
inline socketserver::endpoint address_or_fail()
{
    try
    {
        return address();
    }
    catch (std::invalid_argument const&)
    {
        fail({"OSError"});
    }
}

template <class Server>
std::unique_ptr<Server> made(socketserver::strategy const& choice)
{
    using request = typename Server::request_type;
    auto const where = address_or_fail();
    try
    {
        auto server = std::make_unique<Server>(
            socketserver::defer_activation, where, socketserver::handler<verbs<request>>);
        apply(*server, choice);
        set_attributes(*server);
        if (!flag("no-activate"))
            server->activate();
        return server;
    }
    catch (...)
    {
        fail(in_python(std::current_exception()));
    }
}

template <class Server>
void serve()
{
    socketserver::strategy const choice = strategy_text();
    socketserver::with_strategy<Server>(
        choice, [&choice]<class Strategic>(std::type_identity<Strategic>) {
            auto const server = made<socketserver::ready<traced<Strategic>>>(choice);
            auto const& bound = server->server_address();
            bool const is_path = bound.family() == socketserver::address_family::unix_domain;
            report("READY", is_path ? bound.path() : in_words(bound));
            commands(*server,
                {[&server] { return children(*server); }, [&server] { return tracked(*server); }})
                .run();
            // Without closing anything.
            ::_exit(EXIT_SUCCESS);
        });
}

} // namespace parity

#endif
