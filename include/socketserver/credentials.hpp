// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_CREDENTIALS_HPP
#define SOCKETSERVER_CREDENTIALS_HPP

namespace socketserver {

/** Who is at the other end of a Unix socket, as the kernel vouches for it. */
struct credentials
{
    /** The process that connected, or that sent the datagram. It may have ended since. */
    int pid;

    /** The effective user of that process. */
    unsigned uid;

    /** The effective group of that process. */
    unsigned gid;
};

} // namespace socketserver

#endif
