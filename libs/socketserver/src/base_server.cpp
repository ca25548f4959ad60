// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/base_server.hpp>

#include "base_server_state.hpp"
#include "current_request.hpp"
#include "open_sockets.hpp"
#include "process_signals.hpp"

#include <socketserver/log.hpp>
#include <socketserver/time_after.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>

namespace socketserver {

using namespace std::chrono_literals;

event_source::~event_source() = default;

std::chrono::steady_clock::time_point event_source::next_timer() const noexcept
{
    return std::chrono::steady_clock::time_point::max();
}

bool event_source::wait_with(std::span<int const>, std::chrono::steady_clock::time_point)
{
    return false;
}

request_registry& request_registry::of(base_server& server) noexcept
{
    return server.state_->requests;
}

base_server::base_server()
    : state_(std::make_unique<state>(*this))
{
}

base_server::~base_server() = default;

void base_server::activate()
{
    if (fileno() >= 0)
        throw std::logic_error(
            "activate: the server at " + server_address().str() + " is active already");
    try
    {
        server_bind();
        server_activate();
    }
    catch (...)
    {
        server_close();
        throw;
    }
}

void base_server::service_actions() {}

void base_server::server_stopping() {}

void base_server::handle_timeout() {}

bool base_server::has_room() const noexcept
{
    return true;
}

event_source* base_server::source() noexcept
{
    return nullptr;
}

bool base_server::caller_may_run() const noexcept
{
    return true;
}

bool base_server::serves_nobody() const noexcept
{
    return max_active == 0u || max_active_per_client == 0u;
}

std::size_t base_server::left_in_queue() noexcept
{
    return 0;
}

request_counts& base_server::counts() noexcept
{
    return state_->counts;
}

request_counts const& base_server::counts() const noexcept
{
    return state_->counts;
}

server_counters base_server::counters() const noexcept
{
    return state_->counts.snapshot();
}

closing_report base_server::report() const noexcept
{
    auto const& counts = state_->counts;
    closing_report r;
    r.drained = counts.total(request_counts::drained);
    r.aborted = counts.total(request_counts::aborted);
    r.killed = counts.total(request_counts::killed);
    r.left_in_queue = counts.total(request_counts::left_in_queue);
    r.elapsed = state_->closing_took;
    return r;
}

void base_server::request_counters_log() noexcept
{
    state_->counters_asked_for = true;
    state_->stop().wake();
}

bool base_server::waits_on_close() const noexcept
{
    return block_on_close;
}

active_request& base_server::loop_request() noexcept
{
    return state_->loop_request;
}

bool base_server::in_loop_thread() const noexcept
{
    return state_->loop_thread.load() == std::this_thread::get_id();
}

void base_server::request_shutdown() noexcept
{
    state_->counts.enter(request_counts::phase::closing);
    state_->server_stop.set();
}

bool base_server::request_renewal() noexcept
{
    return false;
}

void base_server::request_close() noexcept
{
    state_->counts.enter(request_counts::phase::closing);
    state_->closed = true;
    state_->server_stop.set();
}

void base_server::request_abort() noexcept
{
    state_->abort_requested = true;
    state_->counts.enter(request_counts::phase::aborting);
    // A request that occupies the loop's thread leaves nobody else to abort it.
    state_->loop_request.abort();
    state_->requests.wake();
    state_->stop().wake();
}

bool base_server::abort_requested() const noexcept
{
    return state_->abort_requested;
}

// Whether the caller cannot wait for the loop: it is what the loop waits for, or in a process that
// the loop is not in.
bool base_server::is_part_of_serving() const noexcept
{
    return in_loop_thread() || (current_request && &current_request->server() == this) ||
           state_->process != ::getpid();
}

void base_server::shutdown()
{
    if (is_part_of_serving())
        return request_shutdown();
    // Within the lock, for the loop that runs now: another that begins as soon as it has ended
    // knows nothing of this.
    std::unique_lock lock(state_->mutex);
    auto const loop = state_->loops_ended;
    request_shutdown();
    state_->changed.wait(lock, [&] { return !state_->looping || state_->loops_ended != loop; });
}

void base_server::server_close()
{
    bool const waits_for_loop = !is_part_of_serving();
    clock::time_point until;
    {
        std::unique_lock lock(state_->mutex);
        if (!state_->drain_until)
            state_->drain_until = time_after(drain_timeout);
        until = *state_->drain_until;
        state_->closed = true;
        state_->counts.enter(request_counts::phase::closing);
        if (state_->looping)
        {
            state_->stop().set();
            if (waits_for_loop)
                state_->changed.wait_until(lock, until, [this] { return !state_->looping; });
        }
        // A loop that goes on closes the listener when it ends.
        if (!state_->looping && !state_->listener_closed)
        {
            state_->listener_closed = true;
            end_listening();
        }
    }
    if (waits_on_close())
    {
        say_waiting();
        wait_for_requests(until, true);
    }
}

void base_server::end_requests()
{
    server_close();
    auto const until = *state_->drain_until;
    if (!wait_for_requests(until, true))
    {
        abort_requests();
        if (!wait_for_requests(time_after(abort_timeout), false))
            kill_requests();
    }
    if (!is_part_of_serving())
    {
        std::unique_lock lock(state_->mutex);
        // Short limits are for requests: the loop may wait for a processor.
        auto const patience = std::max<duration>({drain_timeout, abort_timeout, 1s});
        if (!state_->changed.wait_until(
                lock, time_after(patience), [this] { return !state_->served; }))
        {
            log(log_severity::fatal,
                server_address().str() +
                    ": the loop does not end (a hook is stuck); the process ends");
            std::_Exit(EXIT_FAILURE);
        }
    }
    report_closing();
}

bool base_server::wait_for_requests(clock::time_point until, bool abortable)
{
    return state_->requests.wait_for_none(
        until, [this, abortable] { return abortable && state_->abort_requested.load(); });
}

// A server that is told to stop and does not is to say why.
void base_server::say_waiting() noexcept
{
    auto const n = state_->counts.active();
    if (n == 0 || state_->worker_stop || state_->waiting_said.exchange(true))
        return;
    auto const limit = std::chrono::duration<double>(drain_timeout).count();
    char text[80];
    std::snprintf(text, sizeof text, "waits up to %g s for %llu request%s", limit,
        static_cast<unsigned long long>(n), n == 1 ? "" : "s");
    say(log_severity::info, text);
}

// Of the requests of this process: in a worker that is replaced nothing else tells of them.
void base_server::say_aborting() noexcept
{
    auto const n = state_->counts.own_active();
    if (n == 0)
        return;
    char text[80];
    std::snprintf(text, sizeof text, "aborts %llu request%s that did not end in time",
        static_cast<unsigned long long>(n), n == 1 ? "" : "s");
    say(log_severity::warning, text);
}

void base_server::report_closing() noexcept
{
    auto& s = *state_;
    {
        std::lock_guard const lock(s.mutex);
        if (!s.loop_end || s.worker_stop)
            return;
        s.closing_took = clock::now() - *s.loop_end;
        s.loop_end.reset();
    }
    say(log_severity::info, "closed", report().str().c_str());
}

void base_server::abort_requests() noexcept
{
    say_aborting();
    state_->counts.enter(request_counts::phase::aborting);
    state_->requests.abort_all();
}

void base_server::kill_requests() noexcept
{
    bool stuck = false;
    state_->requests.for_each_other([&](active_request const& request) {
        stuck = true;
        auto const age = std::chrono::duration_cast<std::chrono::seconds>(
            active_request::clock::now() - request.since());
        log(log_severity::fatal,
            "the request of " + request.client().str() + ", which began " +
                std::to_string(age.count()) +
                " s ago, does not end though it was aborted; the process ends");
    });
    if (stuck)
        std::_Exit(EXIT_FAILURE);
}

void base_server::after_fork(fork_role role)
{
    auto& s = *state_;
    auto const parent = s.process.load();
    // Another thread of the parent may have held a lock at the fork.
    std::construct_at(&s.mutex);
    s.changed.after_fork();
    s.requests.after_fork();
    s.loop_request.after_fork();
    s.process = ::getpid();
    open_sockets::close_others(role == fork_role::request ? current_request : nullptr);
    s.abort_requested = false;
    s.counts.after_fork(role == fork_role::request && s.worker_stop ? parent : 0);
    s.drain_until.reset();
    if (role == fork_role::worker)
    {
        s.worker_stop = std::make_unique<stop_signal>(s.counts.stops());
        // It serves once: the end of its loop closes its listener.
        s.closed = true;
        s.loop_thread = std::this_thread::get_id();
        process_signals::of_a_worker(*this, parent);
    }
    else
    {
        if (current_request == &s.loop_request)
            s.requests.add(s.loop_request);
        s.served = s.looping = false;
        s.listener_closed = true;
        s.closed = true;
        s.loop_thread = std::thread::id();
        close_listener();
        if (role == fork_role::request)
            process_signals::of_a_request(*this, s.worker_stop ? parent : 0);
        else
            process_signals::of_a_fork_server();
    }
}

void base_server::request_worker_stop() noexcept
{
    state_->counts.enter(request_counts::phase::closing);
    if (state_->worker_stop)
        state_->worker_stop->set();
}

void base_server::run_as_worker(std::function<void()> const& serve) noexcept
{
    int status = EXIT_SUCCESS;
    try
    {
        after_fork(fork_role::worker);
        serve();
    }
    catch (std::exception const& e)
    {
        log(log_severity::error, std::string("a worker ends: ") + e.what());
        status = EXIT_FAILURE;
    }
    catch (...)
    {
        log(log_severity::error, "a worker ends: a hook threw something unknown");
        status = EXIT_FAILURE;
    }
    state_->served = false;
    // One that could not even be given a stop signal of its own would set the server's.
    if (state_->worker_stop)
        end_requests();
    ::_exit(status);
}

} // namespace socketserver
