// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_EPOLL_READINESS_SET_HPP
#define SOCKETSERVER_SRC_STRATEGY_EPOLL_READINESS_SET_HPP

#include "readiness.hpp"

#include <chrono>
#include <span>

namespace socketserver {

// An edge-triggered epoll set.  A descriptor is added when it must be waited for the first time, and
// never armed again.  readiness_set.hpp says what the members are for.
class epoll_readiness_set
{
public:
    using clock = std::chrono::steady_clock;

    epoll_readiness_set() = default;
    ~epoll_readiness_set();

    epoll_readiness_set(epoll_readiness_set const&) = delete;
    epoll_readiness_set& operator=(epoll_readiness_set const&) = delete;

    void open();
    void allow_wake();
    void wake() noexcept;
    bool watch(readiness& r, int descriptor, wait_direction d) noexcept;
    void unwatch(readiness const& r, int descriptor) noexcept;
    void forget(readiness& r) noexcept;
    readiness_events wait(clock::time_point until) noexcept;
    int descriptor() const noexcept { return set_; }
    bool wait_with(std::span<int const>, clock::time_point, readiness_events&) { return false; }
    void leave() noexcept;

    readiness_slots const& slots() const noexcept { return slots_; }

private:
    int set_ = -1;
    int wake_ = -1;
    readiness_slots slots_;
};

} // namespace socketserver

#endif
