// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_JOBS_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_JOBS_HPP

#include <socketserver/active_request.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/stream_server.hpp>

#include <memory>
#include <utility>

namespace matrix {

/** A request that is a function, for what runs requests. */
template <class Function>
class job final : public socketserver::active_request
{
public:
    job(socketserver::base_server& server, Function f)
        : active_request(server)
        , function_(std::move(f))
    {
        enter(server.server_address());
    }

    ~job() override { leave(); }

    void run() override
    {
        scope const current(this);
        function_();
    }

private:
    Function function_;
};

/** Where jobs come from: a server that is not served. */
struct job_server
{
    template <class Function>
    std::unique_ptr<socketserver::active_request> make_job(Function f)
    {
        return std::make_unique<job<Function>>(server, std::move(f));
    }

    socketserver::ready<socketserver::tcp_server> server{
        "127.0.0.1:0", [](socketserver::stream&) {}};
};

} // namespace matrix

#endif
