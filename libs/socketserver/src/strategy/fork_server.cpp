// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/fork_server.hpp>

#include "../process_signals.hpp"
#include "../request_counts.hpp"
#include "fork_server_process.hpp"
#include "fork_server_state.hpp"
#include "process_words.hpp"

#include <socketserver/log.hpp>
#include <socketserver/strategy/child_processes.hpp>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace socketserver {

namespace {

[[noreturn]] void failed(char const* what)
{
    throw std::system_error(errno, std::generic_category(), what);
}

} // namespace

fork_server::fork_server()
    : state_(std::make_unique<state>())
{
}

fork_server::~fork_server() = default;

bool fork_server::started() const noexcept
{
    return state_->process != 0;
}

bool fork_server::start(std::function<void()> const& become, request_counts& counts)
{
    if (started())
        throw std::logic_error("start_fork_server: there is one already");
    // One that was joined may not be gone yet.
    if (child_processes::beside_threads(std::chrono::milliseconds(200)))
        throw std::logic_error("start_fork_server: this process has other threads already, and a "
                               "lock that one of them holds would stay locked in every child");
    // Its children give places back, whatever limits are set later.
    counts.prepare_limit_per_client();
    auto made = std::make_unique<state>();
    made->page.emplace();
    made->set = ::epoll_create1(EPOLL_CLOEXEC);
    int ends[2] = {-1, -1};
    if (made->set < 0 || ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        failed("start_fork_server");
    made->socket = ends[0];
    made->owner = ::getpid();
    made->watch(made->socket);

    pid_t const process = process_signals::fork();
    if (process < 0)
    {
        int const error = errno;
        ::close(ends[1]);
        errno = error;
        failed("start_fork_server");
    }
    if (process != 0)
    {
        ::close(ends[1]);
        made->process = process;
        state_ = std::move(made);
        log(log_severity::info, "the fork server is process " + std::to_string(process));
        return false;
    }
    try
    {
        auto page = *std::exchange(made->page, std::nullopt);
        auto const parent = made->owner;
        made.reset();
        become();
        state_->parcel = fork_server_process(ends[1], *page.get(), parent).run();
        state_->page.emplace(std::move(page));
        return true;
    }
    catch (std::exception const& e)
    {
        log(log_severity::error, std::string("the fork server ends: ") + e.what());
        child_processes::leave(EXIT_FAILURE);
    }
}

void fork_server::require_alive() const
{
    std::lock_guard const lock(state_->mutex);
    if (state_->dead)
        throw std::runtime_error("the fork server, process " + std::to_string(state_->process) +
                                 ", is dead: no request can be served any more");
}

template <class Request>
void fork_server::send_request(Request& request, endpoint const& client, request_place& place)
{
    auto& s = *state_;
    request_parcel parcel(request, client);
    std::lock_guard const lock(s.mutex);
    if (s.dead)
        throw std::system_error(EPIPE, std::generic_category(), "the fork server is dead");
    // The first number that is free.
    std::size_t number = 0;
    for (auto const& [taken, c] : s.children)
        if (taken == number)
            ++number;
        else
            break;
    if (number == fork_server_page::places)
        throw std::system_error(EAGAIN, std::generic_category(), "more children than can be");
    parcel.number(number);
    auto const at = s.children.try_emplace(number, state::child{client, {}}).first;
    auto* const page = s.page->get();
    page->fates[number] = 0;
    page->clients[number] = place.client();
    try
    {
        parcel.send(s.socket);
    }
    catch (...)
    {
        s.children.erase(at);
        throw;
    }
    at->second.place = std::move(place);
    at->second.place.share(page->fates[number]);
}

void fork_server::send(stream& request, endpoint const& client, request_place& place)
{
    send_request(request, client, place);
}

void fork_server::send(datagram& request, endpoint const& client, request_place& place)
{
    send_request(request, client, place);
}

template <class Request>
bool fork_server::receive_request(
    Request& request, endpoint& client, request_counts& counts, request_place& place) noexcept
{
    client = state_->parcel.client();
    auto* const page = state_->page->get();
    auto const number = state_->parcel.number();
    place = counts.place_of_child(page->clients[number], page->fates[number]);
    try
    {
        state_->parcel.unpack(request);
        return true;
    }
    catch (std::exception const& e)
    {
        log(log_severity::error, client.str() + ": not served: " + e.what());
        return false;
    }
}

bool fork_server::receive(
    stream& request, endpoint& client, request_counts& counts, request_place& place) noexcept
{
    return receive_request(request, client, counts, place);
}

bool fork_server::receive(
    datagram& request, endpoint& client, request_counts& counts, request_place& place) noexcept
{
    return receive_request(request, client, counts, place);
}

std::size_t fork_server::size() const noexcept
{
    std::lock_guard const lock(state_->mutex);
    return state_->children.size();
}

std::vector<int> fork_server::pids() const
{
    std::lock_guard const lock(state_->mutex);
    std::vector<int> result;
    for (auto const& [number, c] : state_->children)
        if (int const pid = state_->pid_of(number); pid != 0)
            result.push_back(pid);
    return result;
}

void fork_server::signal(int number) noexcept
{
    auto& s = *state_;
    std::lock_guard const lock(s.mutex);
    for (auto const& [place, c] : s.children)
        s.send_signal(place, c, number);
    s.pending_signal = number;
    if (s.page)
        s.page->get()->aborted = true;
}

void fork_server::kill() noexcept
{
    auto& s = *state_;
    {
        std::lock_guard const lock(s.mutex);
        for (auto const& [number, c] : s.children)
            log(log_severity::error, process_words::kill(process_words::name(
                                         "child", s.pid_of(number), c.client.str())));
    }
    if (size() == 0)
        return;
    signal(SIGKILL);
    {
        // It may be stopped, and then would not say that they have ended.
        std::lock_guard const lock(s.mutex);
        s.ends_it = s.told = true;
        if (!s.dead)
            ::kill(s.process, SIGKILL);
    }
    while (size() != 0)
    {
        pollfd set{descriptor(), POLLIN, 0};
        ::poll(&set, 1, 10);
        collect();
    }
}

int fork_server::descriptor() const noexcept
{
    return state_->set;
}

void fork_server::collect()
{
    std::vector<state::gone> gone;
    {
        auto& s = *state_;
        std::lock_guard const lock(s.mutex);
        if (!s.dead && s.socket >= 0)
            s.receive(gone);
        if (s.dead)
            s.look_at_orphans(gone);
    }
    for (auto const& g : gone)
        if (g.lost)
            log(log_severity::warning,
                g.client + ": closed, as no process could be had to serve it");
        else
            log(g.signal != 0 ? log_severity::error : log_severity::warning,
                process_words::end(
                    process_words::name("child", g.pid, g.client), g.signal, g.status));
}

void fork_server::run()
{
    collect();
    {
        std::lock_guard const lock(state_->mutex);
        if (!state_->dead || std::exchange(state_->told, true))
            return;
        // Until now it has kept the loop awake.
        close_if_open(state_->socket);
    }
    require_alive();
}

void fork_server::after_fork()
{
    if (!started())
        return;
    // The lock may have been held by a thread that is not here.
    auto* const leave = state_.release();
    for (auto& [number, c] : leave->children)
        close_if_open(c.pidfd);
    close_if_open(leave->socket);
    close_if_open(leave->set);
    state_ = std::make_unique<state>();
}

} // namespace socketserver
