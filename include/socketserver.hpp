// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_HPP
#define SOCKETSERVER_HPP

/** @namespace socketserver

    Everything that the library offers.
*/

#include <socketserver/active_request.hpp>
#include <socketserver/awaited_operation.hpp>
#include <socketserver/base_server.hpp>
#include <socketserver/config.hpp>
#include <socketserver/connect.hpp>
#include <socketserver/credentials.hpp>
#include <socketserver/datagram.hpp>
#include <socketserver/datagram_client.hpp>
#include <socketserver/datagram_server.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/handler_factory.hpp>
#include <socketserver/interruptible.hpp>
#include <socketserver/log.hpp>
#include <socketserver/make_server.hpp>
#include <socketserver/memory_datagram.hpp>
#include <socketserver/memory_transport.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/request_handler.hpp>
#include <socketserver/request_pipeline.hpp>
#include <socketserver/run_until_signal.hpp>
#include <socketserver/servers.hpp>
#include <socketserver/strategy.hpp>
#include <socketserver/stream.hpp>
#include <socketserver/stream_server.hpp>
#include <socketserver/this_request.hpp>
#include <socketserver/time_after.hpp>
#include <socketserver/transport.hpp>

#endif
