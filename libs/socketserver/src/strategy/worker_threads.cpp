// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/worker_threads.hpp>

#include "../thread_signals.hpp"

#include <socketserver/log.hpp>
#include <socketserver/strategy/thread_pool_mixin.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace socketserver {

std::size_t default_pool_workers() noexcept
{
    return std::max<std::size_t>(8, std::size_t{4} * std::thread::hardware_concurrency());
}

namespace {

// What the C library needs for itself, and some calls.
constexpr std::size_t least_stack = 64 * 1024;

// Where that is not to be had, the caller goes on as it is.
void preempt_nobody() noexcept
{
    sched_param const parameters{};
    if (::sched_getscheduler(0) == SCHED_OTHER)
        ::sched_setscheduler(0, SCHED_BATCH, &parameters);
}

// A thread whose stack has a size: std::thread's has not.  The work must outlive it.
template <class Work>
pthread_t start_thread(Work& work, std::optional<std::size_t> stack_size)
{
    pthread_attr_t how;
    pthread_t thread;
    int error = ::pthread_attr_init(&how);
    if (error == 0)
    {
        if (stack_size)
            error = ::pthread_attr_setstacksize(&how, std::max(*stack_size, least_stack));
        if (error == 0)
            error = ::pthread_create(
                &thread, &how,
                [](void* w) -> void* {
                    static_cast<Work*>(w)->work();
                    return nullptr;
                },
                &work);
        ::pthread_attr_destroy(&how);
    }
    if (error != 0)
        throw std::system_error(error, std::generic_category(), "thread");
    return thread;
}

} // namespace

struct worker_threads::state
{
    state() { ::sem_init(&queued, 0, 0); }

    // What is in the queue is run, then the threads end.
    ~state()
    {
        for ([[maybe_unused]] auto const thread : threads)
            ::sem_post(&queued);
        for (auto const thread : threads)
            ::pthread_join(thread, nullptr);
        ::sem_destroy(&queued);
    }

    void work()
    {
        block_signals_of_others();
        if (!preempts)
            preempt_nobody();
        for (;;)
        {
            while (::sem_wait(&queued) != 0)
            {
            }
            std::unique_ptr<active_request> request;
            {
                std::lock_guard const lock(mutex);
                if (queue.empty())
                    return;
                request = std::move(queue.front());
                queue.pop_front();
            }
            {
                in_thread const in_progress(*this);
                request->run();
            }
            request.reset();
            ++unclaimed;
        }
    }

    // First the number goes down, then the request ends: whoever hears of its end finds room.  A
    // thread that a handler cancelled or ended is replaced.
    struct in_thread
    {
        explicit in_thread(state& s)
            : of(s)
        {
        }

        ~in_thread()
        {
            --of.in_progress;
            if (std::uncaught_exceptions() != 0)
                ++of.lost;
        }

        state& of;
    };

    // A semaphore wakes a thread by one system call, and has it take the lock once.
    sem_t queued;
    // Threads that have no request, less the requests that have no thread.
    std::atomic<std::ptrdiff_t> unclaimed{0};
    std::mutex mutex;
    std::deque<std::unique_ptr<active_request>> queue;
    std::vector<pthread_t> threads;
    std::atomic<bool> preempts{false};
    bool refused = false;
    std::atomic<std::size_t> in_progress{0};
    std::atomic<std::size_t> lost{0};
};

worker_threads::worker_threads()
    : state_(std::make_unique<state>())
{
}

worker_threads::~worker_threads() = default;

void worker_threads::run(
    std::unique_ptr<active_request>&& request, std::size_t threads, options const& how)
{
    auto& s = *state_;
    s.preempts = how.preempts;
    {
        std::lock_guard const lock(s.mutex);
        // More than one where the system had refused some before.
        while (s.unclaimed <= 0 && s.threads.size() < threads + s.lost)
        {
            try
            {
                s.threads.reserve(s.threads.size() + 1);
                s.threads.push_back(start_thread(s, how.stack_size));
                ++s.unclaimed;
                s.refused = false;
            }
            catch (std::system_error const& e)
            {
                if (s.threads.size() == s.lost)
                    throw;
                if (!std::exchange(s.refused, true))
                    log(log_severity::warning, std::string("no more threads (") + e.what() +
                                                   "); requests wait for those that run");
                break;
            }
        }
        s.queue.push_back(std::move(request));
        --s.unclaimed;
        ++s.in_progress;
    }
    ::sem_post(&s.queued);
}

std::size_t worker_threads::size() const noexcept
{
    return state_->in_progress;
}

void worker_threads::after_fork()
{
    // Its threads are in the parent.
    [[maybe_unused]] auto* const leave = state_.release();
    state_ = std::make_unique<state>();
}

} // namespace socketserver
