// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_WORKERS_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_WORKERS_HPP

#include "matrix_cells.hpp"

#include <socketserver/strategy/coroutine_mixin.hpp>
#include <socketserver/strategy/preforking_mixin.hpp>

#include <set>
#include <unistd.h>

namespace matrix {

/** A server whose workers run one request at a time, and one whose workers run many. */
using preforking = socketserver::preforking_mixin<socketserver::tcp_server>;
using many =
    socketserver::preforking_mixin<socketserver::coroutine_mixin<socketserver::tcp_server>>;

/** Says which process runs it, then echoes. */
inline void tells_its_process(stream& s)
{
    s.wfile() << ::getpid() << '\n';
    echo(s);
}

/** Configures a server to have two workers. */
inline constexpr auto two = [](auto& server) { server.workers = 2; };

template <class Server>
std::set<int> workers_of(served_as<Server>& server)
{
    auto const pids = server->active_workers();
    return {pids.begin(), pids.end()};
}

} // namespace matrix

#endif
