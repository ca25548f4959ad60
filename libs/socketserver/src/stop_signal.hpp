// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STOP_SIGNAL_HPP
#define SOCKETSERVER_SRC_STOP_SIGNAL_HPP

#include <atomic>

namespace socketserver {

// A request to stop that wakes the loop which obeys it.
//
// The flag lies in memory that a fork shares, so that a child may stop the loop of its parent.
// set() and wake() are async-signal-safe.
class stop_signal
{
public:
    explicit stop_signal(std::atomic<bool>& flag);
    ~stop_signal();

    stop_signal(stop_signal const&) = delete;
    stop_signal& operator=(stop_signal const&) = delete;

    void set() noexcept;
    bool is_set() const noexcept { return flag_.load(); }
    void clear() noexcept { flag_.store(false); }

    // Wakes the loop without stopping it.
    void wake() noexcept;

    // Takes back what woke the loop.
    void drain() noexcept;

    int descriptor() const noexcept { return descriptor_; }

private:
    std::atomic<bool>& flag_;
    int descriptor_;
};

} // namespace socketserver

#endif
