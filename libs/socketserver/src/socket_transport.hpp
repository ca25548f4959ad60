// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_SOCKET_TRANSPORT_HPP
#define SOCKETSERVER_SRC_SOCKET_TRANSPORT_HPP

#include "strategy/coroutine_core.hpp"
#include "written_page.hpp"

#include <socketserver/endpoint.hpp>
#include <socketserver/transport.hpp>

#include <atomic>
#include <chrono>

namespace socketserver {

// A connected socket.
//
// Where it is used outside of a coroutine, it waits in the kernel: one system call an operation.
// A receive is bounded by SO_RCVTIMEO, which is set when a limit needs it and not before.
// Within a coroutine it tries without waiting, and suspends that coroutine.
class socket_transport final : public transport, public on_written_page
{
public:
    // Takes over a descriptor in blocking mode.
    socket_transport(int descriptor, bool is_tcp) noexcept;
    ~socket_transport() override;

    std::size_t receive(
        mutable_buffers buffers, time_limits const& limits, boost::system::error_code& ec) override;
    std::size_t send(
        const_buffers buffers, time_limits const& limits, boost::system::error_code& ec) override;
    std::size_t try_send(const_buffers buffers, boost::system::error_code& ec) override;
    std::uint64_t send_file(int file, std::uint64_t offset, std::uint64_t count,
        time_limits const& limits, boost::system::error_code& ec) override;
    void shutdown_send(boost::system::error_code& ec) override;
    void linger(bool may_wait) noexcept override;
    void close() noexcept override;
    int native_handle() const noexcept override;
    int release() noexcept override;

    bool is_tcp() const noexcept { return is_tcp_; }

    // Gives the descriptor for a process that knows nothing of what was set on it here.
    int lend() noexcept;

    // Connects, which must be the first thing that happens to it.
    void connect(endpoint const& server, time_limits const& limits, boost::system::error_code& ec);

private:
    using clock = time_limits::clock;
    using direction = coroutine_scheduler::core::direction;
    enum class leftover;

    void wake() noexcept override;

    template <class Operation>
    std::size_t perform(direction d, time_limits const& limits, boost::system::error_code& ec,
        Operation const& operation);
    template <class Operation>
    std::size_t perform_in(coroutine_scheduler::core& core, direction d, time_limits const& limits,
        boost::system::error_code& ec, Operation const& operation);
    template <class Operation>
    std::size_t perform_blocking(direction d, time_limits const& limits,
        boost::system::error_code& ec, Operation const& operation);

    bool bound_by(std::chrono::nanoseconds left) noexcept;
    bool wait(direction d, clock::time_point until, boost::system::error_code& ec) noexcept;
    leftover read_leftover(std::size_t& budget) noexcept;
    int unacknowledged() const noexcept;
    int descriptor() const noexcept { return descriptor_.load(std::memory_order_relaxed); }

    // wake() and try_send() may come from anywhere: close() waits until none of them uses the
    // descriptor.  No lock, for a signal handler may be among them.
    std::atomic<int> descriptor_;
    std::atomic<int> users_{0};
    bool is_tcp_;

    // What SO_RCVTIMEO is set to; zero for no limit.
    std::chrono::nanoseconds bound_{0};
    coroutine_scheduler::core::readiness readiness_;
};

} // namespace socketserver

#endif
