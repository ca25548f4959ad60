// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/this_request.hpp>

#include "await_context.hpp"
#include "current_request.hpp"
#include "waiter.hpp"

#include <socketserver/active_request.hpp>
#include <socketserver/strategy/coroutine_services.hpp>
#include <socketserver/time_after.hpp>

#include <exception>
#include <stdexcept>

namespace socketserver::this_request {

using boost::system::error_code;
using boost::system::system_error;

namespace {

constexpr std::size_t most_threads = 16;

void throw_if_aborted(char const* what)
{
    if (current_request && current_request->aborted())
        throw system_error(make_error_code(boost::asio::error::operation_aborted), what);
}

// A function to be called in another thread, for a request that waits for it.
class blocking_call final : public active_request
{
public:
    blocking_call(active_request& caller, std::function<void()> const& f, waiter& wait,
        std::exception_ptr& thrown) noexcept
        : active_request(caller.server())
        , caller_(caller)
        , function_(f)
        , wait_(wait)
        , thrown_(thrown)
    {
    }

    ~blocking_call() override { wait_.complete(); }

    void run() override
    {
        scope const current(&caller_);
        try
        {
            function_();
        }
        catch (...)
        {
            thrown_ = std::current_exception();
            if (thrown_)
                return;
            // No exception of C++: what unwinds a thread that is cancelled, or ends itself.
            thrown_ = std::make_exception_ptr(
                std::runtime_error("this_request::blocking: the function has ended its thread"));
            throw;
        }
    }

private:
    active_request& caller_;
    std::function<void()> const& function_;
    waiter& wait_;
    std::exception_ptr& thrown_;
};

} // namespace

void sleep_for(std::chrono::nanoseconds duration, error_code& ec)
{
    ec = {};
    try
    {
        waiter w;
        if (w.wait(time_after(duration)) == waiter::outcome::aborted)
            ec = boost::asio::error::operation_aborted;
    }
    catch (system_error const& e)
    {
        ec = e.code();
    }
}

void sleep_for(std::chrono::nanoseconds duration)
{
    error_code ec;
    sleep_for(duration, ec);
    if (ec)
        throw system_error(ec, "sleep_for");
}

void call_blocking(std::function<void()> const& f)
{
    auto* const core = coroutine_scheduler::core::current();
    auto* const services = core ? core->services() : nullptr;
    if (!services || !current_request)
    {
        throw_if_aborted("blocking");
        if (current_request)
            current_request->flush_pending();
        f();
    }
    else
    {
        std::exception_ptr thrown;
        waiter w;
        if (w.interrupted())
            w.wait(waiter::clock::time_point::max());
        throw_if_aborted("blocking");
        services->for_blocking_calls.run(
            std::make_unique<blocking_call>(*current_request, f, w, thrown), most_threads);
        w.wait_for_all();
        if (thrown)
            std::rethrow_exception(thrown);
    }
    throw_if_aborted("blocking");
}

boost::asio::any_io_executor get_executor()
{
    return await_context().get_executor();
}

} // namespace socketserver::this_request
