// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TOOLS_SOCKETSERVER_LIMITS_HPP
#define SOCKETSERVER_TOOLS_SOCKETSERVER_LIMITS_HPP

#include <socketserver/base_server.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>

namespace boost::program_options {
class options_description;
}

/** How much and how long, as options; each is called as the attribute that it sets, and without it
    the attribute keeps its default. */
struct limits
{
    using duration = socketserver::base_server::duration;

    /** Adds the options, which are read into this: it has to live as long as they do.

        What they throw is `std::invalid_argument`.
    */
    void add_to(boost::program_options::options_description& options);

    /** Sets the attributes of a server that is not bound yet.

        @throws std::invalid_argument It has no such limit.
    */
    template <class Server>
    void apply(Server& server) const
    {
        server.max_active = max_active;
        server.max_active_per_client = max_active_per_client;
        server.when_full = when_full;
        server.drain_timeout = drain_timeout;
        if (request_queue_size)
        {
            if constexpr (requires { server.request_queue_size; })
                server.request_queue_size = static_cast<int>(*request_queue_size);
            else
                refuse("request-queue-size", "connections");
        }
        if (max_packet_size)
        {
            if constexpr (requires { server.max_packet_size; })
                server.max_packet_size = *max_packet_size;
            else
                refuse("max-packet-size", "datagrams");
        }
        if (max_queue)
        {
            if constexpr (requires { server.max_queue; })
                server.max_queue = max_queue;
            else
                refuse("max-queue", "the strategy thread-pool");
        }
        if (max_coroutines)
        {
            if constexpr (requires { server.max_coroutines; })
                server.max_coroutines = *max_coroutines;
            else
                refuse("max-coroutines", "the strategy coroutine");
        }
        if (max_requests)
        {
            if constexpr (requires { server.max_requests; })
                server.max_requests = *max_requests;
            else
                refuse("max-requests", "the strategy preforking");
        }
    }

    /** Of a server. */
    std::optional<std::size_t> max_active;
    std::optional<std::size_t> max_active_per_client;
    socketserver::at_limit when_full = socketserver::at_limit::defer;
    duration drain_timeout = std::chrono::seconds(30);

    /** Of its sockets. */
    std::optional<std::size_t> request_queue_size;
    std::optional<std::size_t> max_packet_size;

    /** Of its strategy. */
    std::optional<std::size_t> max_queue;
    std::optional<std::size_t> max_coroutines;
    std::optional<std::size_t> max_requests;

    /** Of a handler of connections. */
    std::optional<duration> timeout;
    std::optional<duration> deadline;

    /** Says that an option does not go with the others.

        @throws std::invalid_argument Always.
    */
    [[noreturn]] static void refuse(std::string const& option, std::string const& what_for)
    {
        throw std::invalid_argument("--" + option + ": it is for " + what_for);
    }
};

#endif
