// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_FORK_SERVER_HPP
#define SOCKETSERVER_STRATEGY_FORK_SERVER_HPP

#include <socketserver/config.hpp>
#include <socketserver/datagram.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/request_place.hpp>
#include <socketserver/strategy/process_set.hpp>
#include <socketserver/stream.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace socketserver {

class request_counts;

/** A process that forks a child for each request, and does nothing else: what @ref forking_mixin
    hands requests to in a program with threads.

    It is forked while the program has one thread, and so its children find every lock free. This
    process sends it requests, with their descriptors, and it tells which children began and how they
    ended. The children are signalled from here, through pidfds: that does not depend on it.

    When it dies, that is one error in the log, and @ref run throws. The children that it has forked
    go on, watched and signalled from here as before; how they end, nobody can tell any more.

    It ends with this object, and with the process that has it; its children may then go on.

    @par Thread safety
    All members may be called from any thread, but @ref start, @ref send and @ref run from one at a
    time.
*/
class SOCKETSERVER_DECL fork_server final : public process_set
{
public:
    fork_server();

    /** End the fork server; does not end its children. */
    ~fork_server() override;

    /** Start it.

        @param become Called in the new process, to give back what is not for it.
        @param counts What is counted of the server.
        @return False in this process; true, over and over, in each child that the fork server
        forks, which is to call @ref receive and to handle the request.
        @throws std::logic_error It was started already, or this process has other threads.
        @throws std::system_error The system has no process, descriptor or memory for it.
    */
    bool start(std::function<void()> const& become, request_counts& counts);

    /** Return whether it was started, alive or not. */
    bool started() const noexcept;

    /** Throw if it was started and has died.

        @throws std::runtime_error It has.
    */
    void require_alive() const;

    /** Have a child forked for a connection.

        @param request The connection; stays open here, until it is closed.
        @param client Who asked.
        @param place Its place, which is kept until the child has ended; left alone on failure.
        @throws std::system_error Not now: it takes no more, or has died.
        @throws std::logic_error The stream has no socket that could be sent to another process.
    */
    void send(stream& request, endpoint const& client, request_place& place);

    /** Have a child forked for a datagram.

        @param request The datagram.
        @param client Who sent it.
        @param place Its place, which is kept until the child has ended; left alone on failure.
        @throws std::system_error Not now: it takes no more, or has died.
    */
    void send(datagram& request, endpoint const& client, request_place& place);

    /** Take the connection that this child was forked for.

        @param request Becomes the connection, in the state in which it was sent.
        @param client Becomes the client.
        @param counts What is counted of the server.
        @param place Becomes its place.
        @return Whether it could be had; why not is logged.
    */
    bool receive(
        stream& request, endpoint& client, request_counts& counts, request_place& place) noexcept;

    /** Take the datagram that this child was forked for.

        @param request Becomes the datagram, in the state in which it was sent.
        @param client Becomes the client.
        @param counts What is counted of the server.
        @param place Becomes its place.
        @return Whether it could be had; why not is logged.
    */
    bool receive(
        datagram& request, endpoint& client, request_counts& counts, request_place& place) noexcept;

    /** Return how many requests were sent and have not ended. */
    std::size_t size() const noexcept override;
    std::vector<int> pids() const override;
    void signal(int number) noexcept override;

    /** Kill the children, and the fork server with them. */
    void kill() noexcept override;
    void collect() override;
    void after_fork() override;

    int descriptor() const noexcept override;

    /** Do what @ref collect does.

        @throws std::runtime_error The fork server has died. Thrown once.
    */
    void run() override;

private:
    template <class Request>
    void send_request(Request& request, endpoint const& client, request_place& place);

    template <class Request>
    bool receive_request(
        Request& request, endpoint& client, request_counts& counts, request_place& place) noexcept;

    struct state;
    std::unique_ptr<state> state_;
};

} // namespace socketserver

#endif
