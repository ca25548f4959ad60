// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_LIMITED_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_LIMITED_HPP

#include <socketserver/handler_factory.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <utility>

namespace matrix {

/** The limits of a handler. */
struct limits
{
    std::optional<std::chrono::nanoseconds> timeout{};
    std::optional<std::chrono::nanoseconds> deadline{};
};

/** A handler that sets its limits where a user's does, and runs a function. */
template <class Request>
class limited_handler : public socketserver::request_handler_for<Request>::type
{
public:
    limited_handler(limits const& set, std::function<void(Request&)> f)
        : function_(std::move(f))
    {
        this->timeout = set.timeout;
        if constexpr (requires { this->deadline; })
            this->deadline = set.deadline;
    }

    void handle() override { function_(this->request()); }

private:
    std::function<void(Request&)> function_;
};

/** What runs a function under limits for each request. */
template <class Request, class Function>
socketserver::handler_factory<Request> under(limits const& set, Function f)
{
    return socketserver::handler<limited_handler<Request>>(
        set, std::function<void(Request&)>(std::move(f)));
}

} // namespace matrix

#endif
