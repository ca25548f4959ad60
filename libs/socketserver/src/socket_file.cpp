// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "socket_file.hpp"

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace socketserver {

namespace {

// What connecting says, 0 if it succeeds.  Nobody serves an address only where it is refused: where
// the queue is full or permission is missing, somebody may be there.
int probed(endpoint const& address, int type) noexcept
{
    int const probe = ::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return errno;
    int const result = ::connect(probe, static_cast<sockaddr const*>(address.data()),
        static_cast<socklen_t>(address.size()));
    int const error = result < 0 ? errno : 0;
    ::close(probe);
    return error;
}

} // namespace

socket_file::~socket_file()
{
    end();
}

void socket_file::begin(endpoint const& address)
{
    if (address.family() != address_family::unix_domain || address.is_abstract())
        return;
    path_ = std::filesystem::absolute(address.path()).string();
    auto const folder = std::filesystem::path(path_).parent_path();
    folder_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_ < 0)
        return;
    // Somebody who never lets go of the lock must not keep the server from starting.
    using namespace std::chrono_literals;
    auto const until = std::chrono::steady_clock::now() + 1s;
    while (::flock(folder_, LOCK_EX | LOCK_NB) < 0 && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(1ms);
}

bool socket_file::remove_dead(endpoint const& address, int socket_type) noexcept
{
    struct stat file;
    if (path_.empty() || ::lstat(path_.c_str(), &file) < 0 || !S_ISSOCK(file.st_mode) ||
        file.st_uid != ::geteuid() || probed(address, socket_type) != ECONNREFUSED)
        return false;
    return ::unlink(path_.c_str()) == 0;
}

char const* socket_file::in_the_way(endpoint const& address, int socket_type) const noexcept
{
    struct stat file;
    if (!path_.empty() && ::lstat(path_.c_str(), &file) == 0 && !S_ISSOCK(file.st_mode))
        return " (the file there is no socket)";
    switch (probed(address, socket_type))
    {
    case 0:
    case EAGAIN:
    case EPROTOTYPE:
        return " (a server listens there)";
    case ECONNREFUSED:
        return " (a socket that nobody serves is there, and cannot be removed)";
    default:
        return "";
    }
}

void socket_file::bound() noexcept
{
    struct stat file;
    if (path_.empty() || ::lstat(path_.c_str(), &file) < 0)
        return;
    device_ = file.st_dev;
    inode_ = file.st_ino;
    owner_ = ::getpid();
}

bool socket_file::allow(mode_t mode) noexcept
{
    return path_.empty() || ::chmod(path_.c_str(), mode) == 0;
}

void socket_file::end() noexcept
{
    int const folder = std::exchange(folder_, -1);
    if (folder < 0)
        return;
    // Closing it would give back the lock, if no process forked meanwhile had it as well.
    ::flock(folder, LOCK_UN);
    ::close(folder);
}

void socket_file::remove() noexcept
{
    struct stat file;
    if (inode_ != 0 && owner_ == ::getpid() && ::lstat(path_.c_str(), &file) == 0 &&
        file.st_dev == device_ && file.st_ino == inode_)
        ::unlink(path_.c_str());
    inode_ = 0;
}

} // namespace socketserver
