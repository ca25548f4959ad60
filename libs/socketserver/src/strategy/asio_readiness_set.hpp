// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_ASIO_READINESS_SET_HPP
#define SOCKETSERVER_SRC_STRATEGY_ASIO_READINESS_SET_HPP

#include "readiness.hpp"

#include <chrono>
#include <memory>
#include <span>

namespace socketserver {

// Asio's own operations: an async_wait for each wait, on an io_context that nobody else enters.  It
// owns none of the descriptors that it watches.  readiness_set.hpp says what the members are for.
class asio_readiness_set
{
public:
    using clock = std::chrono::steady_clock;

    asio_readiness_set() noexcept;
    ~asio_readiness_set();

    asio_readiness_set(asio_readiness_set const&) = delete;
    asio_readiness_set& operator=(asio_readiness_set const&) = delete;

    void open();
    void allow_wake();
    void wake() noexcept;
    bool watch(readiness& r, int descriptor, wait_direction d) noexcept;
    void unwatch(readiness const& r, int descriptor) noexcept;
    void forget(readiness& r) noexcept;
    readiness_events wait(clock::time_point until) noexcept;
    int descriptor() const noexcept { return -1; }
    void leave() noexcept;

    // False if the set was not opened; throws what Asio throws.
    bool wait_with(std::span<int const> others, clock::time_point until, readiness_events& found);

    readiness_slots const& slots() const noexcept { return slots_; }

private:
    struct state;
    struct watched;

    void start(readiness_slots::name name, watched& w, wait_direction d);
    void start_wake();
    void wait_for_one(clock::time_point until) noexcept;
    void collect() noexcept;

    readiness_slots slots_;
    int wake_[2] = {-1, -1};
    readiness_events* found_ = nullptr; // of the wait that goes on
    std::unique_ptr<state> state_;
};

} // namespace socketserver

#endif
