// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/interruptible.hpp>

#include <socketserver/active_request.hpp>

namespace socketserver {

interruptible::interruptible() noexcept = default;

interruptible::~interruptible()
{
    leave_request();
}

void interruptible::leave_request() noexcept
{
    if (request_)
        request_->detach(*this);
}

void interruptible::flush_pending() noexcept {}

void interruptible::left_request() noexcept {}

int interruptible::waits_for() const noexcept
{
    return -1;
}

} // namespace socketserver
