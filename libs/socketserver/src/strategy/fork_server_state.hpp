// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_FORK_SERVER_STATE_HPP
#define SOCKETSERVER_SRC_STRATEGY_FORK_SERVER_STATE_HPP

#include "../request_parcel.hpp"
#include "fork_server_process.hpp"
#include "shared_page.hpp"

#include <socketserver/endpoint.hpp>
#include <socketserver/request_place.hpp>
#include <socketserver/strategy/fork_server.hpp>

#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <sys/types.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace socketserver {

inline void close_if_open(int& descriptor) noexcept
{
    if (descriptor >= 0)
        ::close(descriptor);
    descriptor = -1;
}

// What the server knows of the fork server and of its children.
struct fork_server::state
{
    // A request that was sent and has not ended.
    struct child
    {
        endpoint client;
        request_place place;
        bool began = false;
        int pidfd = -1;
    };

    // How one has ended of which something is to be said.
    struct gone
    {
        std::string client;
        int pid;
        int signal;
        int status;
        bool lost;
    };

    ~state();

    std::atomic<int>& pid_of(std::size_t number) const noexcept
    {
        return page->get()->pids[number];
    }

    void watch(int descriptor) noexcept;
    void receive(std::vector<gone>& out);
    void lose(std::vector<gone>& out);
    void look_at_orphans(std::vector<gone>& out);
    void send_signal(std::size_t number, child const& to, int signal) noexcept;
    std::pair<int, int> reap() noexcept;

    void forget(std::vector<gone>& out, std::map<std::size_t, child>::iterator at,
        fork_server_report const& how);

    mutable std::mutex mutex;
    int process = 0;
    pid_t owner = 0;
    int socket = -1;
    int set = -1;
    std::optional<shared_page<fork_server_page>> page;
    std::map<std::size_t, child> children;

    // What a request that has no process yet is to be sent when it has one.
    int pending_signal = 0;
    bool ends_it = false;
    bool dead = false;
    bool told = false;

    // In a child.
    request_parcel parcel;
};

} // namespace socketserver

#endif
