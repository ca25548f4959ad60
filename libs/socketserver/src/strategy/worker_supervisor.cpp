// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/worker_supervisor.hpp>

#include <socketserver/log.hpp>
#include <socketserver/strategy/preforking_mixin.hpp>

#include <algorithm>
#include <csignal>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

namespace socketserver {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

std::size_t default_workers() noexcept
{
    return std::max(1u, std::thread::hardware_concurrency());
}

worker_supervisor::worker_supervisor()
{
    children_.on_end = [this](child_processes::ended const& worker) {
        std::lock_guard const lock(mutex_);
        // One that was asked to go needs no successor.
        if (std::erase(serving_, worker.pid) == 0)
            return;
        // What was killed is reported already.
        if (worker.signal == 0)
            log(log_severity::warning, "worker " + std::to_string(worker.pid) +
                                           " has ended with status " +
                                           std::to_string(worker.status) + "; it is replaced");
        auto const young = clock::now() - worker.since < 1s;
        backoff_ = young ? std::clamp<std::chrono::milliseconds>(backoff_ * 2, 100ms, 5s) : 0ms;
        next_start_ = clock::now() + backoff_;
    };
}

worker_supervisor::~worker_supervisor() = default;

void worker_supervisor::start(std::size_t workers, std::function<void()> be_a_worker)
{
    std::lock_guard const lock(mutex_);
    wanted_ = workers;
    be_a_worker_ = std::move(be_a_worker);
    next_start_ = clock::now();
    replace();
}

void worker_supervisor::replace()
{
    if (clock::now() < next_start_)
        return;
    while (serving_.size() < wanted_)
    {
        try
        {
            int const pid = children_.fork("worker");
            if (pid == 0)
            {
                be_a_worker_();
                child_processes::leave(0);
            }
            serving_.push_back(pid);
        }
        catch (std::system_error const& e)
        {
            log(log_severity::warning, std::string("no worker can be started: ") + e.what());
            next_start_ = clock::now() + 1s;
            return;
        }
    }
}

void worker_supervisor::drain() noexcept
{
    {
        std::lock_guard const lock(mutex_);
        if (std::exchange(wanted_, 0) == 0)
            return;
        serving_.clear();
    }
    children_.signal(SIGTERM);
}

void worker_supervisor::abort() noexcept
{
    children_.signal(SIGQUIT);
}

void worker_supervisor::kill() noexcept
{
    children_.kill();
}

std::size_t worker_supervisor::size() const noexcept
{
    return children_.size();
}

std::vector<int> worker_supervisor::pids() const
{
    return children_.pids();
}

int worker_supervisor::descriptor() const noexcept
{
    return children_.descriptor();
}

clock::time_point worker_supervisor::next_timer() const noexcept
{
    std::lock_guard const lock(mutex_);
    return std::min(
        children_.next_timer(), serving_.size() < wanted_ ? next_start_ : clock::time_point::max());
}

void worker_supervisor::after_fork()
{
    // The one that forked holds it, and does not go on here.
    std::construct_at(&mutex_);
    wanted_ = 0;
    serving_.clear();
    children_.after_fork();
}

void worker_supervisor::run()
{
    children_.run();
    std::lock_guard const lock(mutex_);
    replace();
}

} // namespace socketserver
