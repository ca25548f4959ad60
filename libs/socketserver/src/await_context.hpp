// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_AWAIT_CONTEXT_HPP
#define SOCKETSERVER_SRC_AWAIT_CONTEXT_HPP

#include <boost/asio/io_context.hpp>

namespace socketserver {

// The io_context of the objects that handlers await something of.  One a process, made on first
// use, anew after a fork.  It is not the one of the listeners, each of whose connections would wake
// the thread that runs this one.
boost::asio::io_context& await_context();

// Has a thread of its own run it from now on, if none does; throws system_error where none can be
// had.
boost::asio::io_context& running_await_context();

} // namespace socketserver

#endif
