// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "idle_context.hpp"

#include <memory>
#include <mutex>
#include <unistd.h>

namespace socketserver {

boost::asio::io_context& idle_context()
{
    static std::mutex mutex;
    static std::unique_ptr<boost::asio::io_context> context;
    static pid_t owner = 0;

    std::lock_guard const lock(mutex);
    if (owner != ::getpid())
    {
        // The one before belongs to the parent; destroying it here would reach into its set.
        [[maybe_unused]] auto* const leave = context.release();
        context = std::make_unique<boost::asio::io_context>(1);
        owner = ::getpid();
    }
    return *context;
}

} // namespace socketserver
