// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/coroutine_scheduler.hpp>

#include "coroutine_core.hpp"

#include <socketserver/strategy/coroutine_mixin.hpp>

#include <sys/resource.h>
#include <utility>

namespace socketserver {

std::size_t default_max_coroutines() noexcept
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur > 128 ? static_cast<std::size_t>(limit.rlim_cur) - 64 : 64;
}

coroutine_scheduler::coroutine_scheduler(coroutine_services* services)
    : core_(std::make_unique<core>(services))
{
}

coroutine_scheduler::~coroutine_scheduler() = default;

void coroutine_scheduler::start(std::unique_ptr<active_request>&& request)
{
    core_->start(std::move(request));
}

std::size_t coroutine_scheduler::size() const noexcept
{
    return core_->size();
}

bool coroutine_scheduler::inside() const noexcept
{
    return core::current() == core_.get();
}

int coroutine_scheduler::descriptor() const noexcept
{
    return core_->descriptor();
}

std::chrono::steady_clock::time_point coroutine_scheduler::next_timer() const noexcept
{
    return core_->next_timer();
}

bool coroutine_scheduler::wait_with(
    std::span<int const> others, std::chrono::steady_clock::time_point until)
{
    return core_->wait_with(others, until);
}

void coroutine_scheduler::run()
{
    core_->run();
}

void coroutine_scheduler::after_fork()
{
    // What waits in it waits in the parent.
    [[maybe_unused]] auto* const leave = core_.release();
    leave->leave_descriptors();
    core_ = std::make_unique<core>(leave->services());
}

} // namespace socketserver
