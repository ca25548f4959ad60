// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The loop of a server: waiting, taking, and not taking for a while.

#include "base_server_state.hpp"
#include "loop_wait.hpp"

#include <socketserver/log.hpp>
#include <socketserver/time_after.hpp>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <string>

namespace socketserver {

using namespace std::chrono_literals;

// Holds the right to be the one that serves, from the call to the return.
class base_server::serving_scope
{
public:
    serving_scope(base_server& server, char const* operation)
        : state_(*server.state_)
        , server_(server)
    {
        // Whoever was told by shutdown() that the loop has ended may serve again, although the
        // requests of that loop may be waited for yet.
        bool const may_wait = !server.is_part_of_serving();
        std::unique_lock lock(state_.mutex);
        if (may_wait)
            state_.changed.wait(lock, [this] { return !state_.served || state_.looping; });
        check(server, operation);
        server.check_limits(operation);
        if (!state_.stop().is_set())
            state_.counts.serve();
        state_.waiting_said = false;
        state_.served = state_.looping = true;
        state_.loop_thread = std::this_thread::get_id();
        state_.process = ::getpid();
    }

    ~serving_scope()
    {
        server_.loop_ended();
        std::lock_guard const lock(state_.mutex);
        state_.loop_thread = std::thread::id();
        state_.served = false;
        // Within the lock: once it is given up, whoever waits may destroy this.
        state_.changed.notify_all();
    }

    // With the lock held.
    static void check(base_server const& server, char const* operation)
    {
        auto const refuse = [&](char const* why) {
            throw std::logic_error(
                std::string(operation) + ": the server at " + server.server_address().str() + why);
        };
        if (server.state_->closed)
            refuse(" is closed");
        if (server.fileno() < 0)
            refuse(" is not bound; call activate()");
        if (server.state_->served)
            refuse(" is being served already");
    }

private:
    state& state_;
    base_server& server_;
};

// What could never work is said before anything is served.
void base_server::check_limits(char const* operation)
{
    auto const refuse = [&](char const* why) {
        throw std::invalid_argument(
            std::string(operation) + ": the server at " + server_address().str() + why);
    };
    if (serves_nobody())
        refuse(" could never serve a request: a limit of it is 0");
    if (when_full == at_limit::caller_runs && !caller_may_run())
        refuse(" cannot run requests in its loop where its strategy has no room; possible are "
               "at_limit::defer and at_limit::refuse");
    if (max_active_per_client)
        state_->counts.prepare_limit_per_client();
}

void base_server::require_unserved(char const* operation) const
{
    std::lock_guard const lock(state_->mutex);
    serving_scope::check(*this, operation);
}

void base_server::loop_ended() noexcept
{
    if (state_->closed)
        say_waiting();
    std::lock_guard const lock(state_->mutex);
    if (!state_->looping)
        return;
    state_->looping = false;
    ++state_->loops_ended;
    state_->loop_end = clock::now();
    // One that has handled a request only pauses.
    if (state_->closed || state_->stop().is_set())
        state_->counts.enter(request_counts::phase::closing);
    state_->stop().clear();
    if (state_->closed && !state_->listener_closed)
    {
        state_->listener_closed = true;
        end_listening();
    }
    state_->changed.notify_all();
}

void base_server::serve_forever(duration poll_interval)
{
    if (poll_interval <= duration::zero())
        throw std::invalid_argument("serve_forever: the poll interval must be more than zero");
    serving_scope const scope(*this, "serve_forever");
    serve(poll_interval);
}

void base_server::serve(duration poll_interval)
{
    run_loop(poll_interval);
}

void base_server::run_loop(duration poll_interval, bool listening)
{
    // However it ends, whoever waits for the end of the loop hears of it now.
    struct end
    {
        base_server& server;
        ~end() { server.loop_ended(); }
    } const end{*this};

    auto& stop = state_->stop();
    bool const shared = listening && state_->worker_stop;
    loop_wait wait(shared);
    // Grows while requests come faster than turns: accepting until there is none would cost a
    // system call for nothing in every quiet turn.
    unsigned batch = 1;
    if (listening)
        loop_begins();
    while (!stop.is_set())
    {
        bool const ready = wait_turn(wait, listening, time_after(poll_interval));
        // A shared listener wakes one of those that wait for it: who was woken takes one request,
        // told to stop or not, for nobody else has heard of it.
        bool const owes = ready && shared;
        if (stop.is_set() && !owes)
            break;
        if (ready)
        {
            unsigned taken = 0;
            while (taken < batch && (!stop.is_set() || (owes && taken == 0)) &&
                   !state_->paused_until && !is_full() && take_request())
                ++taken;
            batch = taken == batch ? std::min(batch * 2, 16u) : 1;
        }
        service_actions();
    }
    try
    {
        server_stopping();
    }
    catch (std::exception const& e)
    {
        say(log_severity::error, "server_stopping() has failed", e.what());
    }
    catch (...)
    {
        say(log_severity::error, "server_stopping() threw something unknown");
    }
}

void base_server::handle_request()
{
    serving_scope const scope(*this, "handle_request");
    auto& stop = state_->stop();
    auto const until = timeout ? time_after(*timeout) : clock::time_point::max();
    loop_wait wait(false);
    while (!stop.is_set())
    {
        if (wait_turn(wait, true, until))
        {
            take_request();
            return;
        }
        if (clock::now() >= until)
        {
            if (!stop.is_set())
                handle_timeout();
            return;
        }
    }
}

// One wait: for a request if one can be taken, for a wake-up, and for what a strategy adds, which
// is attended to.  Gives whether there may be a request.
bool base_server::wait_turn(loop_wait& wait, bool listening, clock::time_point until)
{
    auto& s = *state_;
    auto& stop = s.stop();
    bool const take = listening && may_take(until);
    auto* const events = source();
    if (events)
        until = std::min(until, events->next_timer());
    // It is not the listener that will tell.
    bool const kept = take && has_kept_request();
    if (kept)
        until = clock::time_point::min();

    auto const ready = wait(take ? fileno() : -1, stop.descriptor(), events, until);
    if (ready.wake)
    {
        stop.drain();
        if (s.counters_asked_for.exchange(false))
            say(log_severity::info, counters().str().c_str());
        if (s.place_freed.exchange(false))
            s.paused_until.reset();
    }
    if (events && (ready.source || events->next_timer() <= clock::now()))
        events->run();
    return ready.listener || kept;
}

void base_server::end_listening() noexcept
{
    drop_kept_request();
    if (!state_->worker_stop)
        state_->counts.add(request_counts::left_in_queue, left_in_queue());
    close_listener();
}

// Whether the next request has to wait.
bool base_server::is_full() const noexcept
{
    if (when_full == at_limit::refuse)
        return false;
    return (when_full == at_limit::defer && !has_room()) ||
           (max_active && state_->counts.active() >= *max_active);
}

// Gives whether to wait for requests now; if not, until when at most.
bool base_server::may_take(clock::time_point& until)
{
    auto& s = *state_;
    bool full = is_full();
    if (full || s.paused_until)
    {
        // Ask first and look again then, or an end in between would go unnoticed.
        s.wants_place = true;
        full = is_full();
    }
    if (full)
    {
        // Nobody tells of a place that is free in another process.
        if (s.worker_stop && max_active)
            until = std::min(until, time_after(10ms));
        if (s.full.comes())
            say(log_severity::info, "at its limit; further requests wait in the system's queue");
        return false;
    }
    if (s.full.is_over())
        say(log_severity::info, "below its limit again");
    if (s.paused_until && *s.paused_until > clock::now())
    {
        until = std::min(until, *s.paused_until);
        return false;
    }
    s.paused_until.reset();
    // That a pause has ended says nothing: only a request that was taken does.
    if (s.pause == 0ms && s.failing.is_over())
        say(log_severity::info, "takes requests again");
    return true;
}

void base_server::pause_taking(char const* reason) noexcept
{
    auto& s = *state_;
    s.pause = s.pause == 0ms ? 5ms : std::min<std::chrono::milliseconds>(s.pause * 2, 1s);
    if (s.failing.comes())
        say(log_severity::warning, "cannot take requests for now; they wait in the system's queue",
            reason);
    // The end of what has failed just now is no reason to try again.
    s.place_freed = false;
    s.wants_place = true;
    s.paused_until = time_after(s.pause);
}

void base_server::resume_taking() noexcept
{
    state_->pause = 0ms;
}

// Logs about this server, whatever is used up.
void base_server::say(log_severity severity, char const* what, char const* why) const noexcept
{
    try
    {
        auto line = server_address().str() + ": " + what;
        if (why)
            line.append(" (").append(why).append(")");
        log(severity, line);
    }
    catch (std::bad_alloc const&)
    {
        log(severity, what);
    }
}

void base_server::note_place_freed() noexcept
{
    if (state_->wants_place.load(std::memory_order_seq_cst) && state_->wants_place.exchange(false))
    {
        state_->place_freed = true;
        state_->stop().wake();
    }
}

bool base_server::attend(event_source& events, std::function<bool()> const& done,
    clock::time_point until, bool abortable)
{
    auto const run = [&events] {
        try
        {
            events.run();
        }
        catch (std::exception const&)
        {
            // It would end the loop, which has ended.
        }
    };
    auto& stop = state_->stop();
    loop_wait wait(false);
    while (!done())
    {
        if (clock::now() >= until || (abortable && state_->abort_requested))
            return false;
        // Another thread that attends to them may have taken what would have ended this wait; and
        // what wakes a loop that has not ended is not to be taken from it.
        auto const again = std::min({until, events.next_timer(), time_after(50ms)});
        bool const no_other_loop = in_loop_thread() || state_->loop_thread == std::thread::id();
        auto const ready = wait(-1, no_other_loop ? stop.descriptor() : -1, &events, again);
        if (ready.wake)
            stop.drain();
        if (ready.source || events.next_timer() <= clock::now())
            run();
    }
    // Another thread may have seen the last end, and be about to tell of it.
    run();
    return true;
}

} // namespace socketserver
