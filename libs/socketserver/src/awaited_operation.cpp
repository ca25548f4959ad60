// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/awaited_operation.hpp>

#include "await_context.hpp"
#include "waiter.hpp"

#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

namespace socketserver {

struct awaited_operation::state
{
    boost::asio::any_io_executor executor = running_await_context().get_executor();
    boost::asio::cancellation_signal cancelled;
    waiter wait;
};

awaited_operation::awaited_operation()
    : state_(std::make_unique<state>())
{
}

awaited_operation::~awaited_operation() = default;

boost::system::error_code awaited_operation::wait(bool cancel) noexcept
{
    auto& s = *state_;
    bool const ended =
        cancel ? s.wait.is_complete()
               : s.wait.wait(waiter::clock::time_point::max()) == waiter::outcome::complete;
    if (!ended)
    {
        // Where its handlers are run: they and the signal must not meet.
        s.wait.expect_one_more();
        boost::asio::post(s.executor, [&s] {
            s.cancelled.emit(boost::asio::cancellation_type::all);
            s.wait.complete();
        });
        s.wait.wait_for_all();
    }
    if (s.wait.interrupted())
        return boost::asio::error::operation_aborted;
    return {};
}

void awaited_operation::complete() noexcept
{
    state_->wait.complete();
}

boost::asio::cancellation_slot awaited_operation::slot() noexcept
{
    return state_->cancelled.slot();
}

boost::asio::any_io_executor const& awaited_operation::executor() const noexcept
{
    return state_->executor;
}

} // namespace socketserver
