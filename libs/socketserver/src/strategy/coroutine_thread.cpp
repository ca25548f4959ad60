// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "../loop_wait.hpp"
#include "../stop_signal.hpp"
#include "../thread_signals.hpp"
#include "coroutine_core.hpp"

#include <socketserver/log.hpp>
#include <socketserver/strategy/coroutine_scheduler.hpp>

#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace socketserver {

struct coroutine_thread::state
{
    explicit state(worker_threads* for_blocking_calls)
        : scheduler(for_blocking_calls)
        , thread([this] { work(); })
    {
    }

    ~state()
    {
        stop.set();
        thread.join();
    }

    void work()
    {
        block_signals_of_others();
        loop_wait wait(false);
        std::vector<std::unique_ptr<active_request>> taken;
        while (!stop.is_set() || scheduler.size() != 0)
        {
            auto const ready =
                wait(-1, stop.descriptor(), scheduler.descriptor(), scheduler.next_timer());
            if (ready.wake)
                stop.drain();
            {
                std::lock_guard const lock(mutex);
                taken.swap(queue);
            }
            for (auto& request : taken)
                begin(std::move(request));
            taken.clear();
            scheduler.run();
        }
    }

    void begin(std::unique_ptr<active_request> request)
    {
        try
        {
            scheduler.start(std::move(request), true);
        }
        catch (std::exception const& e)
        {
            scheduler.uncount();
            log(log_severity::error,
                request->client().str() + ": no coroutine could be started: " + e.what());
        }
    }

    stop_signal stop;
    coroutine_scheduler::core scheduler;
    std::mutex mutex;
    std::vector<std::unique_ptr<active_request>> queue;
    std::thread thread;
};

coroutine_thread::coroutine_thread(worker_threads* for_blocking_calls)
    : for_blocking_calls_(for_blocking_calls)
{
}

coroutine_thread::~coroutine_thread() = default;

void coroutine_thread::start(std::unique_ptr<active_request>&& request)
{
    if (!state_)
        state_ = std::make_unique<state>(for_blocking_calls_);
    {
        std::lock_guard const lock(state_->mutex);
        state_->queue.push_back(std::move(request));
        state_->scheduler.count();
    }
    state_->stop.wake();
}

std::size_t coroutine_thread::size() const noexcept
{
    return state_ ? state_->scheduler.size() : 0;
}

bool coroutine_thread::inside() const noexcept
{
    return state_ && coroutine_scheduler::core::current() == &state_->scheduler;
}

void coroutine_thread::after_fork()
{
    // Its thread is in the parent.
    [[maybe_unused]] auto* const leave = state_.release();
}

} // namespace socketserver
