// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_OPEN_SOCKETS_HPP
#define SOCKETSERVER_SRC_OPEN_SOCKETS_HPP

namespace socketserver {

class active_request;

// The connections that this process holds, by descriptor.  A process that was just forked closes
// those that are not its own: a peer would not see the end of a connection which another process
// keeps open.
namespace open_sockets {

void add(int descriptor) noexcept;
void remove(int descriptor) noexcept;

// Closes all, but those of a request, if there is one.
void close_others(active_request const* own) noexcept;

} // namespace open_sockets

} // namespace socketserver

#endif
