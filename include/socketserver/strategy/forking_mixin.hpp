// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_FORKING_MIXIN_HPP
#define SOCKETSERVER_STRATEGY_FORKING_MIXIN_HPP

#include <socketserver/base_server.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/request_pipeline.hpp>
#include <socketserver/strategy/child_processes.hpp>
#include <socketserver/strategy/dispatching.hpp>

#include <cstddef>
#include <exception>
#include <vector>

namespace socketserver {

/** Runs every request in a child process of its own.

    The child serves nothing else: it closes the listener and every other connection of this
    library's, handles its request and leaves by `_exit`. What it changes in memory the others do
    not see; if it crashes, the others go on, and the log names the process, the signal and the
    client. When there are @ref max_children, the next requests wait in the kernel's queue until one
    has ended. See Python's `socketserver.ForkingMixIn`.

    A program with other threads should not fork: a lock that one of them holds stays locked in the
    child. The log says so once.

    @tparam Server The server class to mix into.
*/
template <class Server>
class forking_mixin : public Server
{
    static_assert(!dispatching<Server>,
        "forking_mixin: this server already has a dispatching mixin (threading_mixin, "
        "thread_pool_mixin, forking_mixin or coroutine_mixin); a server has at most one");
    static_assert(!serving<Server>,
        "forking_mixin: write preforking_mixin<forking_mixin<...>>, the serving mixin outside");

public:
    /** What this mixin does. */
    using dispatching_strategy = forking_mixin;

    using Server::Server;

    /** How many children there may be. Read by the loop's thread. */
    std::size_t max_children = 40;

    /** Set what N is in a strategy's text: @ref max_children.

        @param n The number.
    */
    void dispatching_limit(std::size_t n) noexcept { max_children = n; }

    /** Return the process numbers of the children in progress.

        @return The numbers, in no order.
    */
    std::vector<int> active_children() const { return children_.pids(); }

    /** Reap the children that have ended, without waiting. The loop does it by itself. */
    void collect_children() { children_.run(); }

    /** Run a request in a child process.

        @param request The request; closed in this process.
        @param client_address Who asked.
        @throws try_again_later The system allows no more processes.
    */
    void process_request(
        typename Server::request_type& request, endpoint const& client_address) override
    {
        // As long as both have it, an abort here would shut it down there, without a word.
        this->detach_request(request);
        int pid = 0;
        try
        {
            pid = children_.fork(client_address.str());
        }
        catch (std::exception const& e)
        {
            this->attach_request(request);
            throw try_again_later(e.what());
        }
        if (pid == 0)
            be_the_child(request, client_address);
        this->close_request(request);
    }

protected:
    bool has_room() const noexcept override { return children_.size() < max_children; }

    event_source* source() noexcept override { return &children_; }

    bool wait_for_requests(base_server::clock::time_point until, bool abortable) override
    {
        bool const own = Server::wait_for_requests(until, abortable);
        return this->attend(
                   children_, [this] { return children_.size() == 0; }, until, abortable) &&
               own;
    }

    void abort_requests() noexcept override
    {
        Server::abort_requests();
        children_.signal(child_processes::terminate);
    }

    void kill_requests() noexcept override
    {
        children_.kill();
        Server::kill_requests();
    }

    void after_fork(fork_role role) override
    {
        Server::after_fork(role);
        children_.after_fork();
    }

private:
    [[noreturn]] void be_the_child(
        typename Server::request_type& request, endpoint const& client_address) noexcept
    {
        this->attach_request(request);
        this->after_fork(fork_role::request);
        this->run_request(request, client_address);
        child_processes::leave(0);
    }

    child_processes children_;
};

} // namespace socketserver

#endif
