// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_FORK_SERVER_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_FORK_SERVER_HPP

#include "matrix_cells.hpp"

#include <socketserver/strategy/forking_mixin.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace matrix {

using forking = socketserver::forking_mixin<socketserver::tcp_server>;

/** A forking server with a fork server, served by a thread of its own. */
template <class Server = forking>
class served_by_fork_server : public served
{
public:
    template <class Configure>
    served_by_fork_server(
        handler_factory<stream> handlers, Configure const& configure, settings const& set = {})
        : served(
              [&](observations& seen) -> std::unique_ptr<base_server> {
                  auto server = std::make_unique<observed_ready<Server>>(
                      socketserver::defer_activation, seen, set, "127.0.0.1:0", handlers);
                  configure(*server);
                  server->activate();
                  server->start_fork_server();
                  return server;
              },
              set.poll_interval)
        , process_(children().back())
    {
    }

    explicit served_by_fork_server(handler_factory<stream> handlers, settings const& set = {})
        : served_by_fork_server(
              std::move(handlers), [](auto&) {}, set)
    {
    }

    Server* operator->() noexcept { return &dynamic_cast<Server&>(server()); }

    /** The process that forks. */
    pid_t fork_server() const noexcept { return process_; }

private:
    pid_t process_;
};

/** Serves in a thread of its own until serve_forever() throws. */
class served_to_its_end
{
public:
    explicit served_to_its_end(base_server& server)
        : loop_([this, &server] {
            try
            {
                server.serve_forever(1h);
            }
            catch (std::runtime_error const& e)
            {
                thrown_ = e.what();
            }
        })
    {
    }

    /** What it has thrown. */
    std::string thrown()
    {
        loop_.join();
        return thrown_;
    }

private:
    std::string thrown_;
    std::thread loop_;
};

} // namespace matrix

#endif
