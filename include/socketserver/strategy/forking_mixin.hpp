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
#include <socketserver/strategy/fork_server.hpp>

#include <cstddef>
#include <exception>
#include <stdexcept>
#include <vector>

namespace socketserver {

/** Runs every request in a child process of its own.

    The child serves nothing else: it closes the listener and every other connection of this
    library's, handles its request and leaves by `_exit`. What it changes in memory the others do
    not see; if it crashes, the others go on, and the log names the process, the signal and the
    client. When there are @ref max_children, the next requests wait in the kernel's queue until one
    has ended. See Python's `socketserver.ForkingMixIn`.

    A process with other threads should not fork: a lock that one of them holds stays locked in the
    child. The log says so once, or @ref require_single_thread refuses. A program with threads calls
    @ref start_fork_server before its first one: then another process does the forking.

    @code
    ready<forking_mixin<tcp_server>> server(":8009", handler<greeter>);
    server.start_fork_server();
    std::thread worker(...);
    server.serve_forever();
    @endcode

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

    /** How many children there may be, more than 0. Read by the loop's thread. */
    std::size_t max_children = 40;

    /** Whether to refuse to fork beside other threads, instead of a warning. Means nothing with a
        fork server. Read by @ref serve_forever, @ref handle_request and @ref process_request, which
        throw `std::logic_error`; in the last that ends the request. */
    bool require_single_thread = false;

    /** Set what N is in a strategy's text: @ref max_children.

        @param n The number.
    */
    void dispatching_limit(std::size_t n) noexcept { max_children = n; }

    /** Return the process numbers of the children in progress.

        @return The numbers, in no order.
    */
    std::vector<int> active_children() const { return children().pids(); }

    /** Reap the children that have ended, without waiting. The loop does it by itself. */
    void collect_children() { children().collect(); }

    /** Start the fork server: from now on another process forks the children, one that keeps the
        program as it is now.

        To be called before the program's first thread, and after it has given up its privileges:
        the fork server keeps those that there are now. Handlers, and the hooks from
        `finish_request` on, run in children of that process: they see no memory, no attribute and
        no descriptor that changes later, but the request in the state in which it was sent. It ends
        with the server.

        If it is killed, `serve_forever()` and `handle_request()` throw `std::runtime_error`, and
        what no child has begun to handle is closed; the children that there are go on, as long as
        the server waits for them.

        @throws std::logic_error The server is served, closed, or not bound; there is a fork server
        already; or the process has other threads.
        @throws std::system_error The system has no process, descriptor or memory for it.
    */
    void start_fork_server()
    {
        this->require_unserved("start_fork_server");
        if (fork_server_.start(
                [this] { this->after_fork(fork_role::fork_server); }, this->counts()))
            be_a_child_of_the_fork_server();
    }

    void handle_request() override
    {
        require_means();
        Server::handle_request();
    }

    /** Run a request in a child process.

        @param request The request; closed in this process.
        @param client_address Who asked.
        @throws try_again_later The system allows no more processes.
        @throws std::logic_error This process has other threads, and @ref require_single_thread is
        set; or the request is a stream without a socket, and there is a fork server.
    */
    void process_request(
        typename Server::request_type& request, endpoint const& client_address) override
    {
        // As long as both have it, an abort here would shut it down there, without a word.
        this->detach_request(request);
        try
        {
            if (fork_server_.started())
                fork_server_.send(request, client_address, this->loop_request().place);
            else
            {
                require_no_threads();
                if (children_.fork(client_address, this->loop_request().place) == 0)
                    be_the_child(request, client_address);
            }
        }
        catch (std::logic_error const&)
        {
            this->attach_request(request);
            throw;
        }
        catch (std::exception const& e)
        {
            this->attach_request(request);
            throw try_again_later(e.what());
        }
        this->close_request(request);
    }

protected:
    void serve(base_server::duration poll_interval) override
    {
        require_means();
        Server::serve(poll_interval);
    }

    bool caller_may_run() const noexcept override { return false; }

    bool has_room() const noexcept override { return children().size() < max_children; }

    bool serves_nobody() const noexcept override
    {
        return max_children == 0 || Server::serves_nobody();
    }

    event_source* source() noexcept override
    {
        // The end of a child may be what the next request waits for.
        if (!has_room() || this->max_active)
            children_.watch_all();
        return &children();
    }

    bool wait_for_requests(base_server::clock::time_point until, bool abortable) override
    {
        children_.watch_all();
        bool const own = Server::wait_for_requests(until, abortable);
        return this->attend(
                   children(), [this] { return children().size() == 0; }, until, abortable) &&
               own;
    }

    void abort_requests() noexcept override
    {
        Server::abort_requests();
        children().signal(child_processes::terminate);
    }

    void kill_requests() noexcept override
    {
        children().kill();
        Server::kill_requests();
    }

    void after_fork(fork_role role) override
    {
        Server::after_fork(role);
        children_.after_fork();
        fork_server_.after_fork();
    }

private:
    process_set& children() noexcept
    {
        return fork_server_.started() ? static_cast<process_set&>(fork_server_) : children_;
    }

    process_set const& children() const noexcept
    {
        return fork_server_.started() ? static_cast<process_set const&>(fork_server_) : children_;
    }

    void require_means() const
    {
        if (fork_server_.started())
            fork_server_.require_alive();
        else
            require_no_threads();
    }

    void require_no_threads() const
    {
        if (require_single_thread && child_processes::beside_threads())
            throw std::logic_error(
                "forking: this process has other threads, and a lock that one of them holds would "
                "stay locked in the child; call start_fork_server() before the first of them");
    }

    [[noreturn]] void be_the_child(
        typename Server::request_type& request, endpoint const& client_address) noexcept
    {
        this->attach_request(request);
        this->after_fork(fork_role::request);
        this->run_request(request, client_address);
        child_processes::leave(0);
    }

    [[noreturn]] void be_a_child_of_the_fork_server() noexcept
    {
        typename Server::request_type request;
        endpoint client_address;
        auto& current = this->loop_request();
        if (!fork_server_.receive(request, client_address, this->counts(), current.place))
            child_processes::leave(1);
        current.enter(client_address);
        active_request::scope const scope(&current);
        be_the_child(request, client_address);
    }

    child_processes children_;
    fork_server fork_server_;
};

} // namespace socketserver

#endif
