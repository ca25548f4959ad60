// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_SOCKET_FILE_HPP
#define SOCKETSERVER_SRC_SOCKET_FILE_HPP

#include <socketserver/endpoint.hpp>

#include <string>
#include <sys/types.h>

namespace socketserver {

// The file that a Unix socket is bound to: who may make it, replace it and remove it.
//
// A socket that is bound and does not listen yet looks as dead as one whose server was killed, so
// two servers that start at once could take each other's file for a dead one.  They take turns by a
// lock on the folder, from before binding until listening.
class socket_file
{
public:
    socket_file() = default;
    ~socket_file();

    socket_file(socket_file const&) = delete;
    socket_file& operator=(socket_file const&) = delete;

    // Begins to make the file of an address; does nothing for an address without one.
    void begin(endpoint const& address);

    // Removes what is in the way, if it is a socket of this user's that nobody serves.
    bool remove_dead(endpoint const& address, int socket_type) noexcept;

    // Why the address is taken, as far as that can be told; begins with a space where it is not
    // empty.
    char const* in_the_way(endpoint const& address, int socket_type) const noexcept;

    // It was bound: from now on it is ours.
    void bound() noexcept;

    // Gives it permissions that the umask has held back.
    bool allow(mode_t mode) noexcept;

    // Whoever wants to replace it may look at it now.
    void end() noexcept;

    // Removes the file if it is still the one that this process has bound.
    void remove() noexcept;

private:
    std::string path_; // absolute, for the program may change its folder
    int folder_ = -1;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    pid_t owner_ = 0;
};

} // namespace socketserver

#endif
