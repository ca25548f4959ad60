// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_BASE_SERVER_STATE_HPP
#define SOCKETSERVER_SRC_BASE_SERVER_STATE_HPP

#include "fork_safe_condition.hpp"
#include "request_counts.hpp"
#include "request_registry.hpp"
#include "stop_signal.hpp"
#include "written_page.hpp"

#include <socketserver/active_request.hpp>
#include <socketserver/base_server.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <sys/types.h>
#include <thread>
#include <unistd.h>

namespace socketserver {

// Something that comes and goes, told once when it comes and once when it has not come for a second.
class spell
{
public:
    using clock = std::chrono::steady_clock;

    // It is here.  Gives whether that is new.
    bool comes() noexcept
    {
        bool const is_new = !last_;
        last_ = clock::now();
        return is_new;
    }

    // It is not here.  Gives, once, that it is over.
    bool is_over() noexcept
    {
        if (!last_ || clock::now() - *last_ < std::chrono::seconds(1))
            return false;
        last_.reset();
        return true;
    }

private:
    std::optional<clock::time_point> last_;
};

// What the loops, the callers of shutdown() and of server_close() agree on.
struct base_server::state : on_written_page
{
    explicit state(base_server& server)
        : loop_request(server)
    {
    }

    request_counts counts;
    stop_signal server_stop{counts.stops()};
    std::unique_ptr<stop_signal> worker_stop;
    request_registry requests;
    active_request loop_request;

    // Survives a fork only if nobody held it; after_fork makes it anew.
    std::mutex mutex;
    fork_safe_condition changed;
    bool served = false;  // serve_forever or handle_request has not returned
    bool looping = false; // its loop has not ended
    unsigned long loops_ended = 0;
    // A signal handler may set it.
    std::atomic<bool> closed{false};
    bool listener_closed = false;
    std::optional<clock::time_point> drain_until;

    std::atomic<std::thread::id> loop_thread{};
    std::atomic<pid_t> process{::getpid()};
    std::atomic<bool> abort_requested{false};
    std::atomic<bool> counters_asked_for{false};

    // For the report.
    std::atomic<bool> waiting_said{false};
    std::optional<clock::time_point> loop_end;
    clock::duration closing_took{0};

    // Why no request is taken, and who is to be told when that may have changed.
    std::atomic<bool> wants_place{false};
    std::atomic<bool> place_freed{false};
    std::optional<clock::time_point> paused_until;
    std::chrono::milliseconds pause{0};
    spell full;
    spell failing;

    // What the loop of this process obeys.
    stop_signal& stop() noexcept { return worker_stop ? *worker_stop : server_stop; }
};

} // namespace socketserver

#endif
