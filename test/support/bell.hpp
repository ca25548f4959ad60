// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_BELL_HPP
#define SOCKETSERVER_TEST_SUPPORT_BELL_HPP

#include "beside.hpp"
#include "descriptors.hpp"

#include <socketserver/base_server.hpp>
#include <socketserver/ready.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <sys/eventfd.h>
#include <unistd.h>

// What the tests of base_server share.
namespace support {

using namespace socketserver;
using namespace std::literals;

// The least of a server: its requests are rings of a bell.
class bell : public base_server
{
public:
    ~bell() override { close_listener(); }

    // As a client does.
    void ring() const
    {
        std::uint64_t const one = 1;
        if (::write(bell_, &one, sizeof one) != static_cast<ssize_t>(sizeof one))
            throw std::runtime_error("the bell does not ring");
    }

    void server_bind() override
    {
        bell_ = ::eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE | EFD_CLOEXEC);
    }
    void server_activate() override {}
    int fileno() const noexcept override { return bell_; }
    endpoint const& server_address() const noexcept override { return address_; }

    void service_actions() override
    {
        ++services;
        services.notify_all();
        if (on_service)
            on_service();
    }

    void handle_timeout() override { ++timeouts; }

    event_source* source() noexcept override { return events; }
    bool has_room() const noexcept override { return room; }

    using base_server::in_loop_thread;
    using base_server::loop_request;
    using base_server::note_place_freed;
    using base_server::pause_taking;
    using base_server::resume_taking;

    std::atomic<int> taken{0};
    std::atomic<int> services{0};
    std::atomic<int> timeouts{0};
    std::atomic<bool> room{true};
    std::function<void()> on_request;
    std::function<void()> on_service;
    std::function<void()> after_loop;
    event_source* events = nullptr;

protected:
    void serve(duration poll_interval) override
    {
        base_server::serve(poll_interval);
        if (after_loop)
            after_loop();
    }

    bool take_request() override
    {
        std::uint64_t one;
        if (::read(bell_, &one, sizeof one) < 0)
            return false;
        if (on_request)
            on_request();
        ++taken;
        taken.notify_all();
        return true;
    }

    void close_listener() noexcept override
    {
        if (bell_ >= 0)
            ::close(bell_);
        bell_ = -1;
    }

private:
    int bell_ = -1;
    endpoint address_{"unix:@bell"};
};

// What ready<> wants an argument for.
class test_bell : public bell
{
public:
    explicit test_bell(int) {}
};

// A server that is bound, for each test anew.
struct bell_tower
{
    // Serves in a thread; waits until the loop waits.
    auto serve(std::chrono::nanoseconds interval = 1h)
    {
        return [this, interval] { server.serve_forever(interval); };
    }

    no_descriptor_left nothing;
    ready<test_bell> server{0};
};

inline void wait_for(std::atomic<int> const& number, int least)
{
    for (int n; (n = number) < least;)
        number.wait(n);
}

} // namespace support

#endif
