// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_COROUTINE_WATCHDOG_HPP
#define SOCKETSERVER_SRC_STRATEGY_COROUTINE_WATCHDOG_HPP

#include <socketserver/strategy/coroutine_services.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <semaphore.h>
#include <thread>
#include <vector>

namespace socketserver {

class active_request;

// A thread that looks twice in `max_run` at what each scheduler runs.  When nothing has run between
// two looks, it sleeps until something does: an idle server is not looked at.
class coroutine_services::watchdog
{
public:
    using clock = std::chrono::steady_clock;

    // What a scheduler tells, without a lock or a call.
    class run
    {
    public:
        // A coroutine goes on, or `null` the loop.
        void of(active_request* request, watchdog* by) noexcept
        {
            turn_.store(turn_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
            request_.store(request, std::memory_order_release);
            if (by && by->asleep_.load(std::memory_order_relaxed))
                by->wake();
        }

        active_request* now() const noexcept { return request_.load(std::memory_order_relaxed); }

        // A request is about to be destroyed: who reads its client's name has read it then.
        void ends() noexcept;

    private:
        friend class watchdog;

        std::atomic<std::uint64_t> turn_{0};
        std::atomic<active_request*> request_{nullptr};
        std::atomic<bool> is_read_{false};

        // What the watchdog saw last, and since when.
        std::uint64_t seen_ = 0;
        clock::time_point since_{};
        bool is_told_ = false;
    };

    watchdog();
    ~watchdog();

    void watch(std::chrono::nanoseconds max_run);
    void add(run& r);
    void remove(run& r) noexcept;

private:
    void work() noexcept;
    bool look() noexcept;
    void warn(run& r) noexcept;
    void wake() noexcept;
    bool sleep(std::chrono::nanoseconds most) noexcept;

    std::atomic<std::chrono::nanoseconds> max_run_{std::chrono::nanoseconds(0)};
    std::atomic<bool> asleep_{false};
    std::atomic<bool> stopping_{false};
    sem_t wakes_;
    bool refused_ = false;
    std::mutex mutex_;
    std::vector<run*> runs_;
    std::thread thread_;
};

} // namespace socketserver

#endif
