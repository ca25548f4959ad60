// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_REQUEST_REGISTRY_HPP
#define SOCKETSERVER_SRC_REQUEST_REGISTRY_HPP

#include <socketserver/active_request.hpp>
#include <socketserver/base_server.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <semaphore.h>

namespace socketserver {

// The requests that a server has in progress in this process.
//
// Any thread may call any member; wake() may be called by a signal handler, which is why waiting
// is done on a semaphore and not on a condition variable.
class request_registry
{
public:
    request_registry();
    ~request_registry();

    static request_registry& of(base_server& server) noexcept;

    void add(active_request& request) noexcept;
    void remove(active_request& request) noexcept;

    // Waits until no request is left but the one that the caller runs.  Gives whether that is so.
    bool wait_for_none(
        active_request::clock::time_point until, std::function<bool()> const& give_up);

    void abort_all() noexcept;

    // Calls f for each request but the caller's own.
    void for_each_other(std::function<void(active_request const&)> const& f) const;

    void wake() noexcept;

    // Forgets all of them, and whoever waited or held the lock.
    void after_fork() noexcept;

private:
    bool none_but_own() const noexcept;

    mutable std::mutex mutex_;
    active_request* first_ = nullptr;
    std::size_t size_ = 0;
    std::atomic<int> waiters_{0};
    sem_t changed_;
};

} // namespace socketserver

#endif
