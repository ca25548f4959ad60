// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SERVERS_HPP
#define SOCKETSERVER_SERVERS_HPP

#include <socketserver/datagram_server.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/strategy/coroutine_mixin.hpp>
#include <socketserver/strategy/forking_mixin.hpp>
#include <socketserver/strategy/preforking_mixin.hpp>
#include <socketserver/strategy/thread_pool_mixin.hpp>
#include <socketserver/strategy/threading_mixin.hpp>
#include <socketserver/stream_server.hpp>

namespace socketserver {

/** @name TCP servers */
/** @{ */

/** Serves one connection at a time. */
using synchronous_tcp_server = ready<tcp_server>;

/** Serves every connection in a thread of its own. */
using threading_tcp_server = ready<threading_mixin<tcp_server>>;

/** Serves connections in a fixed number of threads. */
using thread_pool_tcp_server = ready<thread_pool_mixin<tcp_server>>;

/** Serves every connection in a child process of its own. */
using forking_tcp_server = ready<forking_mixin<tcp_server>>;

/** Serves in a fixed number of processes, each one connection at a time. */
using preforking_tcp_server = ready<preforking_mixin<tcp_server>>;

/** Serves every connection in a coroutine of its own. */
using coroutine_tcp_server = ready<coroutine_mixin<tcp_server>>;

/** @} */

/** @name Unix stream servers */
/** @{ */

/** Serves one connection at a time. */
using synchronous_unix_stream_server = ready<unix_stream_server>;

/** Serves every connection in a thread of its own. */
using threading_unix_stream_server = ready<threading_mixin<unix_stream_server>>;

/** Serves connections in a fixed number of threads. */
using thread_pool_unix_stream_server = ready<thread_pool_mixin<unix_stream_server>>;

/** Serves every connection in a child process of its own. */
using forking_unix_stream_server = ready<forking_mixin<unix_stream_server>>;

/** Serves in a fixed number of processes, each one connection at a time. */
using preforking_unix_stream_server = ready<preforking_mixin<unix_stream_server>>;

/** Serves every connection in a coroutine of its own. */
using coroutine_unix_stream_server = ready<coroutine_mixin<unix_stream_server>>;

/** @} */

/** @name UDP servers */
/** @{ */

/** Serves one datagram at a time. */
using synchronous_udp_server = ready<udp_server>;

/** Serves every datagram in a thread of its own. */
using threading_udp_server = ready<threading_mixin<udp_server>>;

/** Serves datagrams in a fixed number of threads. */
using thread_pool_udp_server = ready<thread_pool_mixin<udp_server>>;

/** Serves every datagram in a child process of its own. */
using forking_udp_server = ready<forking_mixin<udp_server>>;

/** Serves in a fixed number of processes, each one datagram at a time. */
using preforking_udp_server = ready<preforking_mixin<udp_server>>;

/** Serves every datagram in a coroutine of its own. */
using coroutine_udp_server = ready<coroutine_mixin<udp_server>>;

/** @} */

/** @name Unix datagram servers */
/** @{ */

/** Serves one datagram at a time. */
using synchronous_unix_datagram_server = ready<unix_datagram_server>;

/** Serves every datagram in a thread of its own. */
using threading_unix_datagram_server = ready<threading_mixin<unix_datagram_server>>;

/** Serves datagrams in a fixed number of threads. */
using thread_pool_unix_datagram_server = ready<thread_pool_mixin<unix_datagram_server>>;

/** Serves every datagram in a child process of its own. */
using forking_unix_datagram_server = ready<forking_mixin<unix_datagram_server>>;

/** Serves in a fixed number of processes, each one datagram at a time. */
using preforking_unix_datagram_server = ready<preforking_mixin<unix_datagram_server>>;

/** Serves every datagram in a coroutine of its own. */
using coroutine_unix_datagram_server = ready<coroutine_mixin<unix_datagram_server>>;

/** @} */

} // namespace socketserver

#endif
