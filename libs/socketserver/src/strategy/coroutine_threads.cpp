// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/coroutine_threads.hpp>

#include "../thread_signals.hpp"
#include "coroutine_core.hpp"

#include <socketserver/log.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace socketserver {

struct coroutine_threads::thread
{
    explicit thread(coroutine_services* services)
        : scheduler(services)
    {
        scheduler.allow_notifications();
        runs = std::thread([this] { work(); });
    }

    ~thread()
    {
        stopping = true;
        scheduler.wake();
        runs.join();
    }

    void work()
    {
        block_signals_of_others();
        while (!stopping || scheduler.size() != 0)
        {
            take_queue();
            scheduler.wait_and_run();
        }
    }

    void take_queue()
    {
        if (!is_queued.exchange(false))
            return;
        std::vector<std::unique_ptr<active_request>> taken;
        {
            std::lock_guard const lock(mutex);
            taken.swap(queue);
        }
        for (auto& request : taken)
            begin(std::move(request));
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
            request->place.refused();
            say_refused(*request, e);
        }
    }

    // Even if memory is what there was none of.
    static void say_refused(active_request const& request, std::exception const& why) noexcept
    {
        try
        {
            log(log_severity::error, request.client().str() +
                                         ": closed, as no coroutine could be started (" +
                                         why.what() + ')');
        }
        catch (std::exception const&)
        {
            log(log_severity::error, "a request is closed, as no coroutine could be started");
        }
    }

    void add(std::unique_ptr<active_request>&& request)
    {
        {
            std::lock_guard const lock(mutex);
            queue.push_back(std::move(request));
            scheduler.count();
        }
        // Where one is queued already, the thread is awake or about to be.
        if (!is_queued.exchange(true))
            scheduler.wake();
    }

    coroutine_scheduler::core scheduler;
    std::atomic<bool> stopping{false};
    std::atomic<bool> is_queued{false};
    std::mutex mutex;
    std::vector<std::unique_ptr<active_request>> queue;
    std::thread runs;
};

struct coroutine_threads::state
{
    thread& idlest(std::size_t most)
    {
        auto const fewer = [](auto const& a, auto const& b) {
            return a->scheduler.size() < b->scheduler.size();
        };
        auto const found = std::min_element(threads.begin(), threads.end(), fewer);
        if (threads.size() >= most || (found != threads.end() && (*found)->scheduler.size() == 0))
            return **found;
        try
        {
            threads.push_back(std::make_unique<thread>(services));
            refused = false;
            return *threads.back();
        }
        catch (std::exception const& e)
        {
            if (!std::exchange(refused, true))
                log(log_severity::warning, std::string("no more threads (") + e.what() +
                                               "); coroutines run in those that there are");
            if (threads.empty())
                throw;
        }
        return **found;
    }

    coroutine_services* services;
    std::vector<std::unique_ptr<thread>> threads;
    bool refused = false;
};

coroutine_threads::coroutine_threads(coroutine_services* services)
    : state_(std::make_unique<state>())
{
    state_->services = services;
}

coroutine_threads::~coroutine_threads() = default;

void coroutine_threads::start(std::unique_ptr<active_request>&& request, std::size_t threads)
{
    state_->idlest(std::max<std::size_t>(threads, 1)).add(std::move(request));
}

std::size_t coroutine_threads::size() const noexcept
{
    std::size_t n = 0;
    for (auto const& t : state_->threads)
        n += t->scheduler.size();
    return n;
}

std::size_t coroutine_threads::fewest(std::size_t threads) const noexcept
{
    if (state_->threads.size() < threads)
        return 0;
    std::size_t n = state_->threads.front()->scheduler.size();
    for (auto const& t : state_->threads)
        n = std::min(n, t->scheduler.size());
    return n;
}

void coroutine_threads::after_fork()
{
    // Its threads are in the parent.
    auto* const leave = state_.release();
    state_ = std::make_unique<state>();
    state_->services = leave->services;
}

} // namespace socketserver
