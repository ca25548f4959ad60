// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/base_server.hpp>

#include "current_request.hpp"
#include "loop_wait.hpp"
#include "process_signals.hpp"
#include "request_registry.hpp"
#include "stop_signal.hpp"

#include <socketserver/log.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>

namespace socketserver {

using namespace std::chrono_literals;

event_source::~event_source() = default;

std::chrono::steady_clock::time_point event_source::next_timer() const noexcept
{
    return std::chrono::steady_clock::time_point::max();
}

// What the loops, the callers of shutdown() and of server_close() agree on.
struct base_server::state
{
    explicit state(base_server& server)
        : loop_request(server)
    {
    }

    stop_signal server_stop;
    std::unique_ptr<stop_signal> worker_stop;
    request_registry requests;
    active_request loop_request;

    // Survive a fork only if nobody held the mutex; after_fork makes them anew.
    std::mutex mutex;
    std::condition_variable changed;
    bool served = false;  // serve_forever or handle_request has not returned
    bool looping = false; // its loop has not ended
    // A signal handler may set it.
    std::atomic<bool> closed{false};
    bool listener_closed = false;
    std::optional<clock::time_point> drain_until;

    std::atomic<std::thread::id> loop_thread{};
    std::atomic<pid_t> process{::getpid()};
    std::atomic<bool> abort_requested{false};

    // Why no request is taken, and who is to be told when that may have changed.
    std::atomic<bool> wants_place{false};
    std::atomic<bool> place_freed{false};
    std::optional<clock::time_point> paused_until;
    std::chrono::milliseconds pause{0};
    bool limited = false;
    clock::time_point last_full{};

    // What the loop of this process obeys.
    stop_signal& stop() noexcept { return worker_stop ? *worker_stop : server_stop; }
};

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

void base_server::handle_timeout() {}

bool base_server::has_room() const noexcept
{
    return true;
}

event_source* base_server::source() noexcept
{
    return nullptr;
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

// ---------------------------------------------------------------- the loop

// Holds the right to be the one that serves, from the call to the return.
class base_server::serving_scope
{
public:
    serving_scope(base_server& server, char const* operation)
        : state_(*server.state_)
        , server_(server)
    {
        std::lock_guard const lock(state_.mutex);
        auto const refuse = [&](char const* why) {
            throw std::logic_error(
                std::string(operation) + ": the server at " + server.server_address().str() + why);
        };
        if (state_.closed)
            refuse(" is closed");
        if (server.fileno() < 0)
            refuse(" is not bound; call activate()");
        if (state_.served)
            refuse(" is being served already");
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

private:
    state& state_;
    base_server& server_;
};

void base_server::loop_ended() noexcept
{
    std::lock_guard const lock(state_->mutex);
    if (!state_->looping)
        return;
    state_->looping = false;
    state_->stop().clear();
    if (state_->closed && !state_->listener_closed)
    {
        state_->listener_closed = true;
        close_listener();
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
    loop_wait wait(listening && state_->worker_stop);
    // Grows while requests come faster than turns: accepting until there is none would cost a
    // system call for nothing in every quiet turn.
    unsigned batch = 1;
    while (!stop.is_set())
    {
        auto const now = clock::now();
        bool const ready = wait_turn(wait, listening,
            poll_interval < clock::time_point::max() - now ? now + poll_interval
                                                           : clock::time_point::max());
        if (stop.is_set())
            break;
        if (ready)
        {
            unsigned taken = 0;
            while (taken < batch && !stop.is_set() && !state_->paused_until && has_room() &&
                   take_request())
                ++taken;
            batch = taken == batch ? std::min(batch * 2, 16u) : 1;
        }
        service_actions();
    }
}

void base_server::handle_request()
{
    serving_scope const scope(*this, "handle_request");
    auto& stop = state_->stop();
    auto const until = timeout ? clock::now() + *timeout : clock::time_point::max();
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
    int const descriptor = events ? events->descriptor() : -1;
    if (events)
        until = std::min(until, events->next_timer());

    auto const ready = wait(take ? fileno() : -1, stop.descriptor(), descriptor, until);
    if (ready.wake)
    {
        stop.drain();
        if (s.place_freed.exchange(false))
            s.paused_until.reset();
    }
    if (events && (ready.source || events->next_timer() <= clock::now()))
        events->run();
    return ready.listener;
}

// Gives whether to wait for requests now; if not, until when at most.
bool base_server::may_take(clock::time_point& until)
{
    auto& s = *state_;
    bool full = !has_room();
    if (full || s.paused_until)
    {
        // Ask first and look again then, or an end in between would go unnoticed.
        s.wants_place = true;
        full = !has_room();
    }
    if (full)
    {
        if (!s.limited)
            log(log_severity::info,
                server_address().str() +
                    ": at its limit; further requests wait in the system's queue");
        s.limited = true;
        s.last_full = clock::now();
        return false;
    }
    if (s.limited && clock::now() - s.last_full >= 1s)
    {
        s.limited = false;
        log(log_severity::info, server_address().str() + ": below its limit again");
    }
    if (s.paused_until && *s.paused_until > clock::now())
    {
        until = std::min(until, *s.paused_until);
        return false;
    }
    s.paused_until.reset();
    return true;
}

void base_server::pause_taking(char const* reason) noexcept
{
    auto& s = *state_;
    if (s.pause == 0ms)
    {
        s.pause = 5ms;
        try
        {
            log(log_severity::warning, server_address().str() + ": cannot take requests for now (" +
                                           reason + "); they wait in the system's queue");
        }
        catch (std::bad_alloc const&)
        {
            log(log_severity::warning, "cannot take requests for now: out of memory");
        }
    }
    else
        s.pause = std::min<std::chrono::milliseconds>(s.pause * 2, 1s);
    s.wants_place = true;
    s.paused_until = clock::now() + s.pause;
}

void base_server::resume_taking() noexcept
{
    if (state_->pause == 0ms)
        return;
    state_->pause = 0ms;
    log(log_severity::info, "taking requests again");
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
    auto& stop = state_->stop();
    loop_wait wait(false);
    while (!done())
    {
        if (clock::now() >= until || (abortable && state_->abort_requested))
            return false;
        auto const ready =
            wait(-1, stop.descriptor(), events.descriptor(), std::min(until, events.next_timer()));
        if (ready.wake)
            stop.drain();
        if (ready.source || events.next_timer() <= clock::now())
            events.run();
    }
    return true;
}

// ---------------------------------------------------------------- stopping

void base_server::request_shutdown() noexcept
{
    state_->server_stop.set();
}

void base_server::request_close() noexcept
{
    state_->closed = true;
    state_->server_stop.set();
}

void base_server::request_abort() noexcept
{
    state_->abort_requested = true;
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
    request_shutdown();
    if (is_part_of_serving())
        return;
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [this] { return !state_->looping; });
}

void base_server::server_close()
{
    bool const waits_for_loop = !is_part_of_serving();
    clock::time_point until;
    {
        std::unique_lock lock(state_->mutex);
        if (!state_->drain_until)
            state_->drain_until = clock::now() + drain_timeout;
        until = *state_->drain_until;
        state_->closed = true;
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
            close_listener();
        }
    }
    if (waits_on_close())
        wait_for_requests(until, true);
}

void base_server::end_requests()
{
    {
        auto const blocks = std::exchange(block_on_close, false);
        server_close();
        block_on_close = blocks;
    }
    auto const until = *state_->drain_until;
    if (!wait_for_requests(until, true))
    {
        abort_requests();
        if (!wait_for_requests(clock::now() + abort_timeout, false))
            kill_requests();
    }
    if (is_part_of_serving())
        return;
    std::unique_lock lock(state_->mutex);
    if (!state_->changed.wait_for(
            lock, drain_timeout + abort_timeout, [this] { return !state_->served; }))
    {
        log(log_severity::fatal,
            server_address().str() + ": the loop does not end (a hook is stuck); the process ends");
        std::_Exit(EXIT_FAILURE);
    }
}

bool base_server::wait_for_requests(clock::time_point until, bool abortable)
{
    return state_->requests.wait_for_none(
        until, [this, abortable] { return abortable && state_->abort_requested.load(); });
}

void base_server::abort_requests() noexcept
{
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

// ---------------------------------------------------------------- processes

void base_server::after_fork(fork_role role)
{
    auto& s = *state_;
    auto const parent = s.process.load();
    // Another thread of the parent may have held a lock at the fork.
    std::construct_at(&s.mutex);
    std::construct_at(&s.changed);
    std::construct_at(&s.requests);
    s.process = ::getpid();
    s.abort_requested = false;
    s.drain_until.reset();
    if (role == fork_role::worker)
    {
        s.worker_stop = std::make_unique<stop_signal>();
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
        process_signals::of_a_request(*this);
    }
}

void base_server::request_worker_stop() noexcept
{
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
    end_requests();
    ::_exit(status);
}

} // namespace socketserver
