// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "fork_server_state.hpp"

#include "process_words.hpp"

#include <socketserver/log.hpp>

#include <cerrno>
#include <csignal>
#include <iterator>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace socketserver {

namespace {

bool is_readable(int descriptor) noexcept
{
    pollfd set{descriptor, POLLIN, 0};
    return ::poll(&set, 1, 0) > 0;
}

} // namespace

fork_server::state::~state()
{
    for (auto& [number, c] : children)
        close_if_open(c.pidfd);
    close_if_open(socket);
    close_if_open(set);
    if (process == 0 || dead || owner != ::getpid())
        return;
    // It may be stopped, or be waiting for room: it is not asked.
    ::kill(process, SIGKILL);
    reap();
}

// The number stays the fork server's until it is reaped, and only we reap it.
// Gives its signal and its status.
std::pair<int, int> fork_server::state::reap() noexcept
{
    siginfo_t info{};
    int result;
    do
        result = ::waitid(P_PID, static_cast<id_t>(process), &info, WEXITED);
    while (result < 0 && errno == EINTR);
    // The program may have SIGCHLD ignored: then the system has reaped it.
    if (result < 0)
        return {0, 0};
    return info.si_code == CLD_EXITED ? std::pair(0, info.si_status) : std::pair(info.si_status, 0);
}

void fork_server::state::watch(int descriptor) noexcept
{
    epoll_event event{};
    event.events = EPOLLIN;
    ::epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event);
}

void fork_server::state::forget(std::vector<gone>& out, std::map<std::size_t, child>::iterator at,
    fork_server_report const& how)
{
    auto& [number, c] = *at;
    // A child that was forked meanwhile may have it, too.
    if (dead && c.pidfd >= 0)
        ::epoll_ctl(set, EPOLL_CTL_DEL, c.pidfd, nullptr);
    close_if_open(c.pidfd);
    if (how.signal != 0)
        c.place.crashed();
    else if (how.what == fork_server_report::lost)
        c.place.refused();
    int const pid = pid_of(number).exchange(0);
    bool const is_lost = how.what == fork_server_report::lost;
    if (is_lost || how.signal != 0 || how.status != 0)
        out.push_back({c.client.str(), pid, how.signal, how.status, is_lost});
    children.erase(at);
}

void fork_server::state::send_signal(std::size_t number, child const& to, int signal) noexcept
{
    if (to.pidfd >= 0)
        ::syscall(SYS_pidfd_send_signal, to.pidfd, signal, nullptr, 0);
    // Without a pidfd, which only a lack of descriptors could cause, the number has to do: the fork
    // server has not said that it has reaped the child.
    else if (to.began && !dead)
        ::kill(pid_of(number), signal);
}

void fork_server::state::receive(std::vector<gone>& out)
{
    bool end = false;
    int descriptor = -1;
    for (fork_server_report report; report.receive(socket, descriptor, end);)
    {
        auto const at = children.find(report.number);
        if (at == children.end())
            close_if_open(descriptor);
        else if (report.what == fork_server_report::began)
        {
            at->second.began = true;
            at->second.pidfd = descriptor;
            if (pending_signal != 0)
                send_signal(report.number, at->second, pending_signal);
        }
        else
            forget(out, at, report);
    }
    if (end)
        lose(out);
}

// The other end is closed, by the fork server and by every child that it was about to make: what is
// not known now will never be.
void fork_server::state::lose(std::vector<gone>& out)
{
    dead = true;
    // It may live: one that cannot be spoken with is of no use, and is not waited for.
    ::kill(process, SIGKILL);
    auto const [signal, status] = reap();
    if (!ends_it)
        log(log_severity::error,
            process_words::end(
                "the fork server, process " + std::to_string(process) + ',', signal, status) +
                "; no request can be served any more");
    for (auto at = children.begin(); at != children.end();)
    {
        auto const next = std::next(at);
        if (at->second.pidfd < 0)
            forget(out, at,
                {at->second.began ? fork_server_report::ended : fork_server_report::lost, 0, 0, 0,
                    0});
        else
            watch(at->second.pidfd);
        at = next;
    }
}

void fork_server::state::look_at_orphans(std::vector<gone>& out)
{
    for (auto at = children.begin(); at != children.end();)
    {
        auto const next = std::next(at);
        if (is_readable(at->second.pidfd))
        {
            // How one has ended nobody can tell, but those that are killed here.
            if (ends_it)
                at->second.place.crashed();
            forget(out, at, {fork_server_report::ended, 0, 0, 0, 0});
        }
        at = next;
    }
}

} // namespace socketserver
