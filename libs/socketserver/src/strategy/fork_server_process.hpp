// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_FORK_SERVER_PROCESS_HPP
#define SOCKETSERVER_SRC_STRATEGY_FORK_SERVER_PROCESS_HPP

#include "../request_parcel.hpp"

#include <socketserver/request_place.hpp>
#include <socketserver/strategy/child_processes.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <sys/types.h>

namespace socketserver {

// What the server, the fork server and the children all see, each request in a place of its own.
struct fork_server_page
{
    static constexpr std::size_t places = 1 << 14;

    // Written by the child before it does anything else: whoever hears of it finds it here.
    std::atomic<int> pids[places];

    // What has become of the place of each, and what a limit per client knows its client by.
    std::atomic<unsigned char> fates[places];
    request_place::client_key clients[places];

    // Requests that no child could be had for are given up.
    std::atomic<bool> aborted;
};

// What the server is told.
struct fork_server_report
{
    enum kind
    {
        // By the child, with its pidfd.
        began,
        // By the fork server, which has reaped the child.
        ended,
        // By the fork server: no child could be had for it.
        lost
    } what;
    std::size_t number;
    int pid;
    int signal;
    int status;

    // Waits for room, which the server makes by reading.
    void send(int to, int descriptor = -1) const noexcept;

    // Receives without waiting: gives whether there was one, and sets the end.
    bool receive(int from, int& descriptor, bool& end) noexcept;
};

// The fork server, in its own process.  It ends when the server closes the other end, or when its
// process ends, which others that were forked from it might keep it from saying.
class fork_server_process
{
public:
    using clock = std::chrono::steady_clock;

    fork_server_process(int socket, fork_server_page& page, pid_t parent);

    fork_server_process(fork_server_process const&) = delete;
    fork_server_process& operator=(fork_server_process const&) = delete;

    // Returns in each child, with its request.
    request_parcel run();

private:
    void wait();
    // Gives whether this is the child.
    bool fork();
    void be_a_child();

    int socket_;
    int parent_;
    fork_server_page& page_;
    child_processes children_;

    // What came and has no child yet.
    std::optional<request_parcel> waiting_;
    std::chrono::milliseconds pause_{0};
    clock::time_point next_try_{};
};

} // namespace socketserver

#endif
