// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/run_until_signal.hpp>

#include "process_signals.hpp"

#include <socketserver/base_server.hpp>
#include <socketserver/log.hpp>

#include <cstdlib>
#include <string>

namespace socketserver {

int run_until_signal(base_server& server, std::chrono::nanoseconds poll_interval)
{
    process_signals signals(server);
    log(log_severity::info, server.server_address().str() + ": listening");
    server.serve_forever(poll_interval);
    signals.loop_ended();
    server.end_requests();
    return EXIT_SUCCESS;
}

} // namespace socketserver
