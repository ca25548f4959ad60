// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_PROCESS_SIGNALS_HPP
#define SOCKETSERVER_SRC_PROCESS_SIGNALS_HPP

#include <csignal>
#include <ctime>
#include <sys/types.h>

namespace socketserver {

class base_server;

// What a process does about signals while it serves: one server a process.
//
// The handlers only ask.  A timer that sends the signal of the next step bounds each step, so that
// a synchronous request, which occupies the only thread, is drained and aborted in time as well.
class process_signals
{
public:
    // Forks with all signals blocked, and leaves them so in the child until it has its own
    // handlers: one of the parent's must not run there.
    static pid_t fork() noexcept;

    // The child of one request: SIGTERM aborts it, and so does the death of the worker that forked
    // it, if one did.  A program's children may serve their clients to the end.
    static void of_a_request(base_server& server, pid_t worker) noexcept;

    // What forks the children of requests: it keeps back all signals, which are for the children and
    // for the process that has it; the children get those that this process had.
    static void of_a_fork_server() noexcept;

    // A worker: SIGTERM ends its loop, and so does the parent's death; SIGQUIT aborts.
    static void of_a_worker(base_server& server, pid_t parent) noexcept;

    // The program's own process, for as long as this lives: the first SIGINT or SIGTERM asks to
    // stop, the second to abort.  SIGHUP asks for a renewal, or to stop where there is nothing to
    // renew.
    process_signals(base_server& server);
    ~process_signals();

    process_signals(process_signals const&) = delete;
    process_signals& operator=(process_signals const&) = delete;

    // The loop has ended: from now on the server minds the time itself.
    void loop_ended() noexcept;

private:
    struct actions;

    struct sigaction interrupt_before_;
    struct sigaction terminate_before_;
    struct sigaction hang_up_before_;
};

} // namespace socketserver

#endif
