// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_CURRENT_REQUEST_HPP
#define SOCKETSERVER_SRC_CURRENT_REQUEST_HPP

namespace socketserver {

class active_request;

// The request that this thread runs.  A coroutine takes it along when it is switched.
extern thread_local active_request* current_request;

} // namespace socketserver

#endif
