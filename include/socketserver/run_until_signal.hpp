// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_RUN_UNTIL_SIGNAL_HPP
#define SOCKETSERVER_RUN_UNTIL_SIGNAL_HPP

#include <socketserver/config.hpp>

#include <chrono>

namespace socketserver {

class base_server;

/** Serve until the process is told to stop: what the main function of a server ends with.

    Runs `serve_forever()` in the calling thread. The first SIGINT or SIGTERM closes the server (a
    synchronous one when its current request has ended) and waits for the requests in progress up to
    `drain_timeout`; a second signal, or the end of that time, aborts them. SIGHUP calls
    `request_renewal()`, which replaces the workers of a pre-forking server; a server that has
    nothing to renew is closed by it, as by SIGTERM. A program that ignores SIGHUP (under `nohup`,
    say) or has a handler for it keeps that. The handlers that were installed before are put back.

    @code
    int main()
    {
        socketserver::log_to_stderr();
        socketserver::threading_tcp_server server("127.0.0.1:8009", socketserver::handler<greeter>);
        return socketserver::run_until_signal(server);
    }
    @endcode

    @param server The server; closed afterwards.
    @param poll_interval How often `service_actions()` is called when nothing else happens.
    @return 0, the exit status of a program that was told to stop.
    @throws std::logic_error Another server is run so in this process, or this one is being served.
    @throws ... What `serve_forever()` throws.
*/
SOCKETSERVER_DECL int run_until_signal(
    base_server& server, std::chrono::nanoseconds poll_interval = std::chrono::milliseconds(500));

} // namespace socketserver

#endif
