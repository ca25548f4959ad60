// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SERVERS_HPP
#define SOCKETSERVER_SERVERS_HPP

#include <socketserver/ready.hpp>
#include <socketserver/strategy/coroutine_mixin.hpp>
#include <socketserver/strategy/forking_mixin.hpp>
#include <socketserver/strategy/preforking_mixin.hpp>
#include <socketserver/strategy/thread_pool_mixin.hpp>
#include <socketserver/strategy/threading_mixin.hpp>
#include <socketserver/stream_server.hpp>

namespace socketserver {

/** A TCP server that serves one connection at a time. */
using synchronous_tcp_server = ready<tcp_server>;

/** A TCP server that serves every connection in a thread of its own. */
using threading_tcp_server = ready<threading_mixin<tcp_server>>;

/** A TCP server that serves connections in a fixed number of threads. */
using thread_pool_tcp_server = ready<thread_pool_mixin<tcp_server>>;

/** A TCP server that serves every connection in a child process of its own. */
using forking_tcp_server = ready<forking_mixin<tcp_server>>;

/** A TCP server that serves in a fixed number of processes, each one connection at a time. */
using preforking_tcp_server = ready<preforking_mixin<tcp_server>>;

/** A TCP server that serves every connection in a coroutine of its own. */
using coroutine_tcp_server = ready<coroutine_mixin<tcp_server>>;

} // namespace socketserver

#endif
