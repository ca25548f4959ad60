// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_PARITY_PIPELINE_HPP
#define SOCKETSERVER_TEST_PARITY_PIPELINE_HPP

#include "options.hpp"
#include "report.hpp"

#include <socketserver/endpoint.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <exception>
#include <optional>
#include <stdexcept>
#include <thread>

namespace parity {

// The thread that serves.
inline std::atomic<std::thread::id> serving_thread{};

inline bool in_serving_thread()
{
    return std::this_thread::get_id() == serving_thread.load();
}

// How often service_actions was called.
inline std::atomic<long> loops{0};

// How many requests are in threads.
inline std::atomic<int> in_threads{0};

// Whether a request was run in a thread.
inline std::atomic<bool> had_threads{false};

// Every hook, reported and failing where it is asked to; between the strategy and ready.
template <class Server>
class traced : public Server
{
    using request = typename Server::request_type;
    using endpoint = socketserver::endpoint;

    static constexpr bool has_threads = requires(Server & s) { s.max_threads; }
    || requires(Server& s) { s.pool_workers; };

public:
    using Server::Server;

    std::optional<typename Server::accepted> get_request() override
    {
        auto taken = Server::get_request();
        if (!taken)
            return taken;
        trace("get_request");
        if (is_injected("get_request_os"))
            throw boost::system::system_error(boost::asio::error::connection_aborted, "injected");
        fail_if_asked("get_request");
        return taken;
    }

    bool verify_request(request&, endpoint const&) override
    {
        trace("verify_request");
        fail_if_asked("verify");
        return !flag("deny");
    }

    void process_request(request& r, endpoint const& client_address) override
    {
        trace("process_request");
        fail_if_asked("process");
        in_threads += has_threads;
        had_threads = has_threads;
        try
        {
            Server::process_request(r, client_address);
        }
        catch (...)
        {
            in_threads -= has_threads;
            throw;
        }
        trace("process_request_return");
    }

    void finish_request(request& r, endpoint const& client_address) override
    {
        trace("finish_request");
        Server::finish_request(r, client_address);
    }

    void shutdown_request(request& r) override
    {
        trace("shutdown_request");
        // The last step of a request that a thread runs; those of the loop were never in one.
        struct leaving
        {
            bool a_thread = has_threads && !in_serving_thread();
            ~leaving() { in_threads -= a_thread; }
        } const end;
        Server::shutdown_request(r);
    }

    void close_request(request& r) override
    {
        trace("close_request");
        Server::close_request(r);
    }

    void handle_error(request&, endpoint const&, std::exception_ptr error) override
    {
        trace("handle_error", in_python(error).type);
        if (is_injected("handle_error"))
            throw std::runtime_error("from handle_error");
    }

    void handle_timeout() override
    {
        trace("handle_timeout");
        Server::handle_timeout();
    }

    void service_actions() override
    {
        ++loops;
        fail_if_asked("service");
        Server::service_actions();
    }

    void server_bind() override
    {
        trace("server_bind");
        Server::server_bind();
    }

    void server_activate() override
    {
        trace("server_activate");
        Server::server_activate();
    }

    void server_close() override
    {
        trace("server_close");
        Server::server_close();
    }
};

} // namespace parity

#endif
