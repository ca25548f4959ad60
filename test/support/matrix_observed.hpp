// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_OBSERVED_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_OBSERVED_HPP

#include "matrix_shared.hpp"

#include <socketserver/base_server.hpp>
#include <socketserver/credentials.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/ready.hpp>

#include <boost/system/system_error.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace matrix {

using socketserver::base_server;
using socketserver::endpoint;

/** What the hooks of a server under test have seen, in whatever process. */
struct observations
{
    /** What handle_error() was given. */
    std::atomic<int> errors{0};
    note last_error;
    gate error_seen;

    /** Whether verify_request() says no. */
    std::atomic<bool> refuses{false};
    std::atomic<int> verified{0};

    /** How often refuse_request() was called. */
    std::atomic<int> refused{0};

    /** The process from which requests are verified; 0 for any. */
    std::atomic<int> only_from{0};

    /** How many workers there were. */
    std::atomic<std::size_t> forked{0};

    /** How often service_actions() was called. */
    std::atomic<std::size_t> actions{0};

    /** How many loops have ended. */
    std::atomic<std::size_t> stopped{0};
};

inline std::string text_of(std::exception_ptr error)
{
    try
    {
        std::rethrow_exception(error);
    }
    catch (boost::system::system_error const& e)
    {
        return e.code().message();
    }
    catch (std::exception const& e)
    {
        return e.what();
    }
    catch (int number)
    {
        return std::to_string(number);
    }
    catch (...)
    {
        return "something else";
    }
}

/** What can be set of a server under test. */
struct settings
{
    base_server::duration drain_timeout = patience;
    base_server::duration abort_timeout = patience;
    bool block_on_close = true;

    // So long that nothing may depend on it.
    base_server::duration poll_interval = 1h;

    // The N of a strategy whose text takes none.
    std::size_t max_coroutines = 1000;

    // Where connections wait to be accepted.
    std::optional<int> request_queue_size;

    // Of datagrams.
    std::optional<std::size_t> max_packet_size;

    // Admission.
    std::optional<std::size_t> max_active;
    std::optional<std::size_t> max_active_per_client;
    socketserver::at_limit when_full = socketserver::at_limit::defer;
};

/** A server whose hooks say what they see. */
template <class Server>
class observed : public Server
{
public:
    template <class... Arguments>
    observed(observations& seen, settings const& set, Arguments&&... arguments)
        : Server(std::forward<Arguments>(arguments)...)
        , seen_(seen)
    {
        this->drain_timeout = set.drain_timeout;
        this->abort_timeout = set.abort_timeout;
        this->block_on_close = set.block_on_close;
        this->max_active = set.max_active;
        this->max_active_per_client = set.max_active_per_client;
        this->when_full = set.when_full;
        if constexpr (requires { this->max_coroutines; })
            this->max_coroutines = set.max_coroutines;
        if constexpr (requires { this->request_queue_size; })
            this->request_queue_size = set.request_queue_size;
        if constexpr (requires { this->max_packet_size; })
            this->max_packet_size = set.max_packet_size.value_or(this->max_packet_size);
    }

    bool verify_request(
        typename Server::request_type& request, endpoint const& client_address) override
    {
        bool const is_welcome = Server::verify_request(request, client_address) && !seen_.refuses &&
                                may_come_from(request.peer_credentials());
        // A test that sees this may change what was asked for above.
        ++seen_.verified;
        return is_welcome;
    }

    void refuse_request(
        typename Server::request_type& request, endpoint const& client_address) override
    {
        Server::refuse_request(request, client_address);
        ++seen_.refused;
        if constexpr (requires { request.send_all("busy\n"); })
            request.send_all("busy\n");
        else
            request.send("busy");
    }

    void service_actions() override
    {
        Server::service_actions();
        ++seen_.actions;
    }

    void server_stopping() override
    {
        Server::server_stopping();
        ++seen_.stopped;
    }

    void handle_error(
        typename Server::request_type&, endpoint const&, std::exception_ptr error) override
    {
        seen_.last_error.write(text_of(error));
        ++seen_.errors;
        seen_.error_seen.open();
    }

protected:
    void after_fork(socketserver::fork_role role) override
    {
        Server::after_fork(role);
        if (role == socketserver::fork_role::worker)
            ++seen_.forked;
    }

private:
    bool may_come_from(std::optional<socketserver::credentials> const& who) const
    {
        return seen_.only_from == 0 || (who && who->pid == seen_.only_from);
    }

    observations& seen_;
};

template <class Server>
using observed_ready = socketserver::ready<observed<Server>>;

} // namespace matrix

#endif
