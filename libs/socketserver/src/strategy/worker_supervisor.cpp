// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/worker_supervisor.hpp>

#include "../crash_report.hpp"
#include "../request_counts.hpp"
#include "../stop_signal.hpp"
#include "respawn_pace.hpp"
#include "shared_page.hpp"

#include <socketserver/log.hpp>
#include <socketserver/strategy/child_processes.hpp>
#include <socketserver/strategy/preforking_mixin.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace socketserver {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

std::size_t default_workers() noexcept
{
    return std::max(1u, std::thread::hardware_concurrency());
}

namespace {

// What a worker and its supervisor tell each other.
struct worker_page
{
    std::atomic<bool> serves{false};
    std::atomic<bool> is_done{false};
    std::atomic<bool> leaves{false};
    // While it takes a request.
    std::atomic<bool> takes{false};

    // What the supervisor tells it: to take no more.
    std::atomic<bool> stops{false};
    crash_report::record crash;
};

struct worker
{
    int pid;
    clock::time_point since;
    shared_page<worker_page> page;
    std::size_t slot;    // in what is counted
    bool is_old = false; // to be replaced with all others
    bool drains = false;

    bool is_to_go() const noexcept { return is_old || page->is_done; }
};

} // namespace

struct worker_supervisor::state
{
    child_processes children{"worker"};

    // Set: all are to be replaced.  Woken: look at the pages.
    shared_page<std::atomic<bool>> asked_flag;
    stop_signal asked{*asked_flag.get()};

    // A server is closed and destroyed by other threads than the one that serves.
    mutable std::mutex mutex;
    std::size_t wanted = 0;
    std::vector<worker> workers;
    std::function<void()> be_a_worker;
    request_counts* counts = nullptr;
    respawn_pace pace;
    bool replacing = false; // some of the old ones are still to be asked to drain
    bool any_old = false;   // or drain

    // In a worker, its own, and how many requests it takes.
    worker_page* own_page = nullptr;
    std::size_t lasts = 0;
    std::atomic<std::size_t> taken{0};

    // All of these with the lock held.
    std::size_t staying() const noexcept
    {
        return static_cast<std::size_t>(std::count_if(
            workers.begin(), workers.end(), [](worker const& w) { return !w.drains; }));
    }

    bool needs_another() const noexcept
    {
        auto const n = staying();
        return n < wanted ||
               (n == wanted && std::any_of(workers.begin(), workers.end(),
                                   [](auto& w) { return !w.drains && w.is_to_go(); }));
    }

    void count_lost(std::size_t slot, bool has_crashed) noexcept;
    void note_end(child_processes::ended end, std::chrono::nanoseconds young_age);
    void see_to_it(std::chrono::nanoseconds young_age);
    void begin_round();
    void see_who_leaves(std::chrono::nanoseconds young_age);
    bool start_one();
    bool let_one_go();
};

worker_supervisor::worker_supervisor()
    : state_(std::make_unique<state>())
{
    state_->children.on_end = [this](child_processes::ended const& end) {
        std::lock_guard const lock(state_->mutex);
        state_->note_end(end, young_age);
    };
}

void worker_supervisor::state::note_end(
    child_processes::ended end, std::chrono::nanoseconds young_age)
{
    auto const found = std::find_if(
        workers.begin(), workers.end(), [&](worker const& w) { return w.pid == end.pid; });
    if (found == workers.end())
        return;
    bool const is_replaced = !found->drains && wanted != 0;
    if (is_replaced)
        pace.has_died(clock::now(), found->since, young_age);

    auto const& crash = found->page->crash;
    // A handler of the program's, or a sanitizer's, may have ended it otherwise than by the signal.
    if (end.signal == 0 && end.status != 0)
        end.signal = crash.signal;
    if (end.signal != 0)
        end.purpose = crash.signal != end.signal ? "client unknown"
                      : crash.has_client         ? crash.client.str()
                                                 : "no client";
    auto const text = children.text(end) + (is_replaced ? "; it is replaced" : "");
    count_lost(found->slot, end.signal != 0 && wanted != 0);
    workers.erase(found);
    if (is_replaced || end.signal != 0 || end.status != 0)
        log(end.signal != 0 ? log_severity::error : log_severity::warning, text);
}

worker_supervisor::~worker_supervisor() = default;

// What a worker had in progress when it ended.
void worker_supervisor::state::count_lost(std::size_t slot, bool has_crashed) noexcept
{
    if (counts)
        counts->free_slot(slot, has_crashed ? request_counts::crashed : request_counts::killed);
}

void worker_supervisor::start(
    std::size_t workers, std::function<void()> be_a_worker, request_counts* counts)
{
    auto& s = *state_;
    s.children.watch(s.asked.descriptor());
    std::lock_guard const lock(s.mutex);
    s.wanted = workers;
    s.be_a_worker = std::move(be_a_worker);
    s.counts = counts;
    s.pace = respawn_pace();
    s.asked.clear();
    s.replacing = false;
    s.any_old = false;
    s.see_to_it(young_age);
}

void worker_supervisor::run()
{
    auto& s = *state_;
    s.asked.drain();
    s.children.run();
    std::lock_guard const lock(s.mutex);
    s.see_to_it(young_age);
}

void worker_supervisor::state::see_to_it(std::chrono::nanoseconds young_age)
{
    if (wanted == 0)
        return;
    pace.look(clock::now());
    see_who_leaves(young_age);
    do
        begin_round();
    while (start_one() || let_one_go());
}

void worker_supervisor::state::begin_round()
{
    if (replacing && std::none_of(workers.begin(), workers.end(),
                         [](worker const& w) { return !w.drains && w.is_old; }))
        replacing = false;
    if (any_old &&
        std::none_of(workers.begin(), workers.end(), [](worker const& w) { return w.is_old; }))
    {
        any_old = false;
        log(log_severity::info, "the workers are replaced");
    }
    if (replacing || !asked.is_set())
        return;
    // First, so that who asks from now on is not forgotten.
    asked.clear();
    log(log_severity::info, "replacing the workers");
    replacing = true;
    any_old = true;
    for (auto& w : workers)
        w.is_old = true;
}

void worker_supervisor::state::see_who_leaves(std::chrono::nanoseconds young_age)
{
    for (auto& w : workers)
        if (!w.drains && w.page->leaves)
        {
            w.drains = true;
            pace.has_died(clock::now(), w.since, young_age);
        }
}

bool worker_supervisor::state::start_one()
{
    auto const now = clock::now();
    if (!needs_another() || now < pace.next())
        return false;
    try
    {
        shared_page<worker_page> page;
        workers.reserve(workers.size() + 1);
        auto const slot = counts ? counts->new_slot() : 0;
        int pid = 0;
        try
        {
            pid = children.fork("");
        }
        catch (...)
        {
            if (counts)
                counts->free_slot(slot, request_counts::killed);
            throw;
        }
        if (pid == 0)
        {
            if (counts)
                counts->use_slot(slot);
            own_page = page.get();
            crash_report::begin(page->crash);
            be_a_worker();
            child_processes::leave(0);
        }
        workers.push_back({pid, now, std::move(page), slot});
        pace.has_started(now);
        return true;
    }
    catch (std::system_error const& e)
    {
        log(log_severity::warning, std::string("no worker can be started: ") + e.what());
        pace.wait_until(now + 1s);
        return false;
    }
}

// Who is to go drains once there are more that serve than have to.
bool worker_supervisor::state::let_one_go()
{
    auto const serving = std::count_if(workers.begin(), workers.end(),
        [](worker const& w) { return !w.drains && w.page->serves; });
    if (static_cast<std::size_t>(serving) <= wanted)
        return false;
    auto const first = std::find_if(workers.begin(), workers.end(),
        [](worker const& w) { return !w.drains && w.page->serves && w.is_to_go(); });
    if (first == workers.end())
        return false;
    if (!first->is_old)
        log(log_severity::debug,
            "worker " + std::to_string(first->pid) + " has taken its requests; it is replaced");
    first->drains = true;
    children.signal(first->pid, SIGTERM);
    return true;
}

void worker_supervisor::replace_workers() noexcept
{
    state_->asked.set();
}

void worker_supervisor::drain() noexcept
{
    {
        std::lock_guard const lock(state_->mutex);
        if (std::exchange(state_->wanted, 0) == 0)
            return;
        for (auto const& w : state_->workers)
            w.page->stops = true;
    }
    state_->children.signal(SIGTERM);
}

bool worker_supervisor::any_takes() const noexcept
{
    auto const& s = *state_;
    std::lock_guard const lock(s.mutex);
    return std::any_of(
        s.workers.begin(), s.workers.end(), [](worker const& w) { return w.page->takes.load(); });
}

void worker_supervisor::abort() noexcept
{
    state_->children.signal(SIGQUIT);
}

void worker_supervisor::kill() noexcept
{
    state_->children.kill();
}

std::size_t worker_supervisor::size() const noexcept
{
    return state_->children.size();
}

std::vector<int> worker_supervisor::pids() const
{
    return state_->children.pids();
}

int worker_supervisor::descriptor() const noexcept
{
    return state_->children.descriptor();
}

clock::time_point worker_supervisor::next_timer() const noexcept
{
    auto const& s = *state_;
    std::lock_guard const lock(s.mutex);
    auto next = s.children.next_timer();
    if (s.wanted != 0)
        next = std::min(next, s.pace.over());
    if (s.needs_another())
        next = std::min(next, s.pace.next());
    return next;
}

void worker_supervisor::after_fork(fork_role role)
{
    auto& s = *state_;
    // The one that forked holds it, and does not go on here.
    std::construct_at(&s.mutex);
    s.wanted = 0;
    // The child of a worker does not speak for it.
    if (role == fork_role::request)
    {
        s.own_page = nullptr;
        crash_report::end();
    }
    s.workers.clear();
    s.children.after_fork();
}

void worker_supervisor::worker_serves() noexcept
{
    if (!state_->own_page)
        return;
    state_->own_page->serves = true;
    state_->asked.wake();
}

void worker_supervisor::worker_lasts(std::size_t requests, std::size_t jitter) noexcept
{
    // Workers that start at once have numbers that are close: the generator mixes them.
    auto const time = clock::now().time_since_epoch().count();
    std::mt19937_64 numbers(
        static_cast<std::uint64_t>(::getpid()) << 32 ^ static_cast<std::uint64_t>(time));
    state_->lasts = requests == 0
                        ? 0
                        : requests + std::uniform_int_distribution<std::size_t>(0, jitter)(numbers);
    state_->taken = 0;
}

worker_supervisor::taking::taking(worker_supervisor& supervisor) noexcept
    : supervisor_(supervisor)
{
    if (auto* const page = supervisor_.state_->own_page)
        page->takes = true;
}

worker_supervisor::taking::~taking()
{
    auto* const page = supervisor_.state_->own_page;
    if (!page)
        return;
    page->takes = false;
    // Whoever waits for it has set this before.
    if (page->stops)
        supervisor_.state_->asked.wake();
}

bool worker_supervisor::taking::is_allowed() const noexcept
{
    auto const* const page = supervisor_.state_->own_page;
    return !page || !page->stops;
}

void worker_supervisor::worker_took_request() noexcept
{
    auto& s = *state_;
    if (s.lasts == 0 || s.taken.fetch_add(1, std::memory_order_relaxed) + 1 != s.lasts ||
        !s.own_page)
        return;
    s.own_page->is_done = true;
    s.asked.wake();
}

void worker_supervisor::worker_leaves() noexcept
{
    if (!state_->own_page)
        return;
    state_->own_page->leaves = true;
    state_->asked.wake();
}

} // namespace socketserver
