// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "fork_server_process.hpp"

#include <socketserver/log.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace socketserver {

using namespace std::chrono_literals;

void fork_server_report::send(int to, int descriptor) const noexcept
{
    iovec part{const_cast<fork_server_report*>(this), sizeof *this};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptor >= 0)
    {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        auto* const note = CMSG_FIRSTHDR(&message);
        note->cmsg_level = SOL_SOCKET;
        note->cmsg_type = SCM_RIGHTS;
        note->cmsg_len = CMSG_LEN(sizeof descriptor);
        std::memcpy(CMSG_DATA(note), &descriptor, sizeof descriptor);
    }
    // Where it fails, nobody is there any more.
    while (::sendmsg(to, &message, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

bool fork_server_report::receive(int from, int& descriptor, bool& end) noexcept
{
    iovec part{this, sizeof *this};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n;
    do
        n = ::recvmsg(from, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n != static_cast<ssize_t>(sizeof *this))
    {
        // Anything but silence: a process that died with requests unread resets the connection.
        end = n >= 0 || errno != EAGAIN;
        return false;
    }
    descriptor = -1;
    if (auto const* const note = CMSG_FIRSTHDR(&message); note && note->cmsg_type == SCM_RIGHTS)
        std::memcpy(&descriptor, CMSG_DATA(note), sizeof descriptor);
    return true;
}

fork_server_process::fork_server_process(int socket, fork_server_page& page, pid_t parent)
    : socket_(socket)
    , parent_(static_cast<int>(::syscall(SYS_pidfd_open, parent, 0)))
    , page_(page)
{
    // It may have died before it could be watched.
    if (::getppid() != parent)
        child_processes::leave(EXIT_SUCCESS);
    children_.on_end = [this](child_processes::ended const& e) {
        fork_server_report{
            fork_server_report::ended, std::stoul(e.purpose), e.pid, e.signal, e.status}
            .send(socket_);
    };
}

request_parcel fork_server_process::run()
{
    for (;;)
    {
        wait();
        if (waiting_ && clock::now() >= next_try_ && fork())
        {
            be_a_child();
            return std::move(*waiting_);
        }
    }
}

// Waits for a request, unless one waits already, for the end of a child, and for the next try.
void fork_server_process::wait()
{
    auto const until =
        std::min(waiting_ ? next_try_ : clock::time_point::max(), children_.next_timer());
    auto const left = std::chrono::ceil<std::chrono::milliseconds>(
        std::clamp<clock::duration>(until - std::min(clock::now(), until), 0s, 1h));
    pollfd set[] = {{waiting_ ? -1 : socket_, POLLIN, 0}, {parent_, POLLIN, 0},
        {children_.descriptor(), POLLIN, 0}};
    if (::poll(set, 3, static_cast<int>(left.count())) < 0)
        return;
    if (set[1].revents != 0)
        child_processes::leave(EXIT_SUCCESS);
    if (set[2].revents != 0 || children_.next_timer() <= clock::now())
        children_.collect();
    if (set[0].revents == 0)
        return;
    waiting_.emplace();
    if (!waiting_->receive(socket_))
        child_processes::leave(EXIT_SUCCESS);
}

bool fork_server_process::fork()
{
    auto const number = waiting_->number();
    auto const give_up = [&] {
        fork_server_report{fork_server_report::lost, number, 0, 0, 0}.send(socket_);
        waiting_.reset();
        return false;
    };
    if (!waiting_->is_whole() || page_.aborted)
        return give_up();
    try
    {
        if (children_.fork(std::to_string(number)) == 0)
            return true;
        waiting_.reset();
        pause_ = 0ms;
    }
    catch (std::system_error const& e)
    {
        if (pause_ == 0ms)
            log(log_severity::warning,
                std::string("the fork server cannot have a process for now; requests wait (") +
                    e.what() + ')');
        pause_ = std::clamp<std::chrono::milliseconds>(pause_ * 2, 5ms, 1s);
        next_try_ = clock::now() + pause_;
    }
    return false;
}

void fork_server_process::be_a_child()
{
    children_.after_fork();
    auto const pid = ::getpid();
    page_.pids[waiting_->number()] = pid;
    int const own = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    fork_server_report{fork_server_report::began, waiting_->number(), pid, 0, 0}.send(socket_, own);
    for (int const descriptor : {own, parent_, socket_})
        if (descriptor >= 0)
            ::close(descriptor);
}

} // namespace socketserver
