// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_CONNECT_HPP
#define SOCKETSERVER_CONNECT_HPP

#include <socketserver/config.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/stream.hpp>

#include <chrono>
#include <optional>

namespace socketserver {

/** Connect to a server.

    Called within a request, connecting and the stream wait as that request waits: in a coroutine
    they suspend only it, and an abort of the request wakes them. The stream then belongs to that
    request: it must neither outlive it nor be used by another thread.

    @param server Where the server listens.
    @param limit How long to wait for it; none for as long as the system tries.
    @return The connection.
    @throws boost::system::system_error What went wrong, naming the endpoint; `timed_out` when the
    limit was reached, `operation_aborted` when the request was aborted.
*/
SOCKETSERVER_DECL stream connect(
    endpoint const& server, std::optional<std::chrono::nanoseconds> limit = {});

/** Connect to a server.

    @param server Where the server listens.
    @param limit How long to wait for it; none for as long as the system tries.
    @param ec What went wrong.
    @return The connection; not open on an error.
*/
SOCKETSERVER_DECL stream connect(endpoint const& server,
    std::optional<std::chrono::nanoseconds> limit, boost::system::error_code& ec);

} // namespace socketserver

#endif
