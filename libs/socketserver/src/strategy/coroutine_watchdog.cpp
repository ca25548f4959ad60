// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "coroutine_watchdog.hpp"

#include "../thread_signals.hpp"

#include <socketserver/active_request.hpp>
#include <socketserver/log.hpp>
#include <socketserver/time_after.hpp>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <exception>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

namespace socketserver {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

void coroutine_services::watchdog::run::ends() noexcept
{
    // In one order with the watchdog, which first says that it reads and then looks what.
    request_.exchange(nullptr);
    while (is_read_.load())
        std::this_thread::yield();
}

coroutine_services::watchdog::watchdog()
{
    ::sem_init(&wakes_, 0, 0);
}

coroutine_services::watchdog::~watchdog()
{
    if (thread_.joinable())
    {
        stopping_ = true;
        ::sem_post(&wakes_);
        thread_.join();
    }
    ::sem_destroy(&wakes_);
}

void coroutine_services::watchdog::watch(nanoseconds max_run)
{
    bool const is_new = max_run_.exchange(max_run, std::memory_order_relaxed) != max_run;
    if (is_new && thread_.joinable())
        ::sem_post(&wakes_);
    if (max_run <= 0ns || thread_.joinable() || refused_)
        return;
    try
    {
        thread_ = std::thread([this] { work(); });
    }
    catch (std::system_error const& e)
    {
        refused_ = true;
        log(log_severity::warning,
            std::string("nobody watches for coroutines that do not wait: ") + e.what());
    }
}

void coroutine_services::watchdog::add(run& r)
{
    std::lock_guard const lock(mutex_);
    runs_.push_back(&r);
}

void coroutine_services::watchdog::remove(run& r) noexcept
{
    std::lock_guard const lock(mutex_);
    std::erase(runs_, &r);
}

void coroutine_services::watchdog::work() noexcept
{
    block_signals_of_others();
    while (!stopping_)
    {
        auto const max_run = max_run_.load(std::memory_order_relaxed);
        auto const interval = std::max<nanoseconds>(max_run / 2, 1ms);
        sleep(max_run > 0ns ? interval : nanoseconds::max());
        if (look())
            continue;
        // A turn that begins just now may not have seen that it is to wake this: it is looked for
        // once more.
        asleep_ = true;
        if (!sleep(interval) && !look())
            sleep(nanoseconds::max());
        asleep_ = false;
    }
}

// Gives whether anything runs, or has run since the last look.
bool coroutine_services::watchdog::look() noexcept
{
    bool awake = false;
    auto const now = clock::now();
    auto const max_run = max_run_.load(std::memory_order_relaxed);
    std::lock_guard const lock(mutex_);
    for (auto* r : runs_)
    {
        auto const turn = r->turn_.load(std::memory_order_relaxed);
        bool const runs = r->now() != nullptr;
        awake = awake || runs || turn != r->seen_;
        if (!runs || turn != r->seen_)
        {
            r->seen_ = turn;
            r->since_ = now;
            r->is_told_ = false;
        }
        else if (!r->is_told_ && max_run > 0ns && now - r->since_ >= max_run)
        {
            r->is_told_ = true;
            warn(*r);
        }
    }
    return awake;
}

void coroutine_services::watchdog::warn(run& r) noexcept
{
    // The request that runs now is not gone before it has been read.
    r.is_read_.store(true);
    auto const* const request = r.request_.load();
    bool const is_same = request && r.turn_.load() == r.seen_;
    auto const client = is_same ? request->client() : endpoint();
    r.is_read_.store(false);
    if (is_same)
        try
        {
            auto const ms = std::chrono::ceil<std::chrono::milliseconds>(max_run_.load()).count();
            log(log_severity::warning, client.str() + ": its handler has been running for " +
                                           std::to_string(ms) +
                                           " ms without waiting; other requests wait for it");
        }
        catch (std::exception const&)
        {
            // There is no memory for a warning.
        }
}

void coroutine_services::watchdog::wake() noexcept
{
    if (asleep_.exchange(false))
        ::sem_post(&wakes_);
}

// Gives whether it was woken.
bool coroutine_services::watchdog::sleep(nanoseconds most) noexcept
{
    // What has woken the last sleep may have been for the end, too.
    if (stopping_)
        return true;
    auto const until = time_after(most).time_since_epoch();
    auto const ns = std::chrono::duration_cast<nanoseconds>(until);
    timespec const at{static_cast<std::time_t>(ns / 1s), static_cast<long>((ns % 1s).count())};
    int result;
    do
        result = ::sem_clockwait(&wakes_, CLOCK_MONOTONIC, &at);
    while (result < 0 && errno == EINTR);
    return result == 0;
}

namespace {

std::size_t guards_to_have()
{
    std::size_t mappings = 65530;
    std::ifstream("/proc/sys/vm/max_map_count") >> mappings;
    return mappings / 8;
}

} // namespace

coroutine_services::coroutine_services()
    : guards(guards_to_have())
    , watchdog_(std::make_unique<watchdog>())
{
}

coroutine_services::~coroutine_services() = default;

void coroutine_services::watch(nanoseconds max_run)
{
    watchdog_->watch(max_run);
}

void coroutine_services::after_fork()
{
    for_blocking_calls.after_fork();
    // Its thread is in the parent.
    [[maybe_unused]] auto* const leave = watchdog_.release();
    watchdog_ = std::make_unique<watchdog>();
}

} // namespace socketserver
