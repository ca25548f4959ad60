// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/active_request.hpp>

#include "current_request.hpp"
#include "request_counts.hpp"
#include "request_registry.hpp"
#include "stream_io.hpp"

#include <socketserver/base_server.hpp>
#include <socketserver/interruptible.hpp>
#include <socketserver/stream.hpp>

#include <ctime>
#include <memory>
#include <thread>

namespace socketserver {

thread_local active_request* current_request = nullptr;

namespace {

// The steady clock as it was at the system's last tick.
active_request::clock::time_point recent_time() noexcept
{
#if defined(CLOCK_MONOTONIC_COARSE)
    timespec now;
    if (::clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0)
        return active_request::clock::time_point(
            std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
#endif
    return active_request::clock::now();
}

} // namespace

active_request::active_request(base_server& server) noexcept
    : server_(server)
{
}

active_request::~active_request()
{
    leave();
}

void active_request::enter(endpoint const& client, stream* primary)
{
    client_ = client;
    since_ = recent_time();
    aborted_.store(false, std::memory_order_relaxed);
    request_registry::of(server_).add(*this);
    entered_ = true;
    if (primary)
        stream_io::attach(*primary, *this);
}

void active_request::leave() noexcept
{
    if (!entered_)
        return;
    entered_ = false;
    while (auto* wait = first_.load())
        detach(*wait);
    give_back_place();
    request_registry::of(server_).remove(*this);
}

void active_request::give_back_place() noexcept
{
    place.give_back(aborted());
    server_.note_place_freed();
}

request_counts& active_request::counts() noexcept
{
    return server_.counts();
}

void active_request::run() {}

void active_request::abort() noexcept
{
    pins_.fetch_add(1);
    aborted_.store(true);
    for (auto* wait = first_.load(); wait; wait = wait->next_.load())
        wait->interrupt();
    pins_.fetch_sub(1);
}

// Holds the right to change the list.
class active_request::changing
{
public:
    explicit changing(active_request& request) noexcept
        : request_(request)
    {
        while (request_.changes_.exchange(true, std::memory_order_acquire))
            std::this_thread::yield();
    }

    changing(changing const&) = delete;
    changing& operator=(changing const&) = delete;

    ~changing() { request_.changes_.store(false, std::memory_order_release); }

private:
    active_request& request_;
};

void active_request::attach(interruptible& wait) noexcept
{
    wait.leave_request();
    {
        changing const alone(*this);
        wait.request_ = this;
        wait.next_.store(first_.load(), std::memory_order_relaxed);
        first_.store(&wait);
    }
    // An abort that walked the list before did not see it.
    if (aborted_.load())
        wait.interrupt();
}

void active_request::detach(interruptible& wait) noexcept
{
    {
        changing const alone(*this);
        auto* link = &first_;
        while (auto* w = link->load())
        {
            if (w == &wait)
            {
                link->store(w->next_.load());
                break;
            }
            link = &w->next_;
        }
        wait.request_ = nullptr;
        wait.left_request();
    }
    while (pins_.load() != 0)
        std::this_thread::yield();
}

void active_request::after_fork() noexcept
{
    pins_ = 0;
    changes_ = false;
    place.after_fork();
}

void active_request::flush_pending() noexcept
{
    for (auto* wait = first_.load(); wait; wait = wait->next_.load())
        wait->flush_pending();
}

bool active_request::owns(int descriptor) const noexcept
{
    for (auto const* wait = first_.load(); wait; wait = wait->next_.load())
        if (wait->waits_for() == descriptor)
            return true;
    return false;
}

active_request* active_request::current() noexcept
{
    return current_request;
}

active_request::scope::scope(active_request* request) noexcept
    : before_(current_request)
{
    current_request = request;
}

active_request::scope::~scope()
{
    current_request = before_;
}

} // namespace socketserver
