// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_IDLE_CONTEXT_HPP
#define SOCKETSERVER_SRC_IDLE_CONTEXT_HPP

#include <boost/asio/io_context.hpp>

namespace socketserver {

// An io_context that nobody runs: what Asio's objects want that never wait by Asio.  One a process,
// made on first use, anew after a fork.
boost::asio::io_context& idle_context();

} // namespace socketserver

#endif
