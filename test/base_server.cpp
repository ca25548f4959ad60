// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/base_server.hpp>

#define BOOST_TEST_MODULE base_server
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/descriptors.hpp"
#include "support/lasts.hpp"
#include "support/logged.hpp"

#include <socketserver/active_request.hpp>
#include <socketserver/ready.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <latch>
#include <poll.h>
#include <span>
#include <stdexcept>
#include <string>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace data = boost::unit_test::data;
using namespace socketserver;
using namespace std::literals;
using support::beside;

namespace {

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

struct fixture
{
    // Serves in a thread; waits until the loop waits.
    auto serve(std::chrono::nanoseconds interval = 1h)
    {
        return [this, interval] { server.serve_forever(interval); };
    }

    support::no_descriptor_left nothing;
    ready<test_bell> server{0};
};

void wait_for(std::atomic<int> const& number, int least)
{
    for (int n; (n = number) < least;)
        number.wait(n);
}

auto names(std::string const& text)
{
    return [text](std::exception const& e) {
        return std::string(e.what()).find(text) != std::string::npos;
    };
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(servers, fixture)

BOOST_AUTO_TEST_CASE(takes_requests_until_it_is_shut_down)
{
    beside loop(serve());
    for (int i = 1; i <= 50; ++i)
    {
        server.ring();
        wait_for(server.taken, i);
    }
    server.shutdown();
    loop.get();
    BOOST_TEST(server.taken == 50);
    // And again.
    beside second(serve());
    server.ring();
    wait_for(server.taken, 51);
    server.shutdown();
    second.get();
}

BOOST_AUTO_TEST_CASE(is_served_once_at_a_time)
{
    beside loop(serve());
    loop.wait_until_asleep();
    BOOST_CHECK_EXCEPTION(server.serve_forever(), std::logic_error, names("unix:@bell"));
    BOOST_CHECK_EXCEPTION(server.handle_request(), std::logic_error, names("served already"));
    server.shutdown();
    loop.get();
}

BOOST_DATA_TEST_CASE_F(fixture, refuses_a_poll_interval_that_is_none, data::make({0, -1}))
{
    BOOST_CHECK_THROW(
        server.serve_forever(std::chrono::nanoseconds(sample)), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(refuses_to_serve_what_is_closed)
{
    server.server_close();
    BOOST_CHECK_EXCEPTION(server.serve_forever(), std::logic_error, names("closed"));
    BOOST_CHECK_EXCEPTION(server.handle_request(), std::logic_error, names("closed"));
    server.server_close();
    BOOST_TEST(server.fileno() == -1);
}

BOOST_AUTO_TEST_CASE(refuses_to_serve_what_is_not_bound)
{
    ready<test_bell> unbound(defer_activation, 0);
    BOOST_CHECK_EXCEPTION(unbound.serve_forever(), std::logic_error, names("activate()"));
}

BOOST_AUTO_TEST_CASE(serves_the_actions_every_poll_interval)
{
    support::check_lasts(200ms, [&] {
        server.services = 0;
        server.on_service = [&] {
            if (server.services == 10)
                server.request_shutdown();
        };
        server.serve_forever(20ms);
    });
}

BOOST_AUTO_TEST_CASE(serves_the_actions_after_requests_at_any_interval)
{
    beside loop(serve(1h));
    server.ring();
    wait_for(server.services, 1);
    BOOST_TEST(server.taken == 1);
    loop.wait_until_asleep();
    server.shutdown();
    loop.get();
    BOOST_TEST(server.services == 1);
}

BOOST_AUTO_TEST_CASE(an_interval_may_be_as_long_as_can_be_said)
{
    beside loop(serve(std::chrono::nanoseconds::max()));
    server.ring();
    wait_for(server.taken, 1);
    server.shutdown();
    loop.get();
}

BOOST_AUTO_TEST_CASE(what_the_actions_throw_ends_the_loop_and_is_passed_on)
{
    server.on_service = [] { throw std::runtime_error("of the actions"); };
    BOOST_CHECK_EXCEPTION(server.serve_forever(1ms), std::runtime_error, names("of the actions"));
    server.on_service = nullptr;
    // Nobody waits for a loop that has ended so.
    server.shutdown();
    server.serve_forever(1h);
    beside loop(serve());
    server.ring();
    wait_for(server.taken, 1);
    server.shutdown();
    loop.get();
}

BOOST_AUTO_TEST_CASE(signals_that_interrupt_are_not_seen)
{
    support::counted_signal const storm(SIGUSR1);
    beside loop(serve());
    for (int i = 0; i < 100; ++i)
    {
        loop.wait_until_asleep();
        loop.signal(SIGUSR1);
    }
    server.ring();
    wait_for(server.taken, 1);
    server.shutdown();
    loop.get();
}

BOOST_AUTO_TEST_CASE(knows_the_thread_of_its_loop)
{
    std::atomic<bool> inside{false};
    server.on_request = [&] { inside = server.in_loop_thread(); };
    beside loop(serve());
    server.ring();
    wait_for(server.taken, 1);
    BOOST_TEST(inside);
    BOOST_TEST(!server.in_loop_thread());
    server.shutdown();
    loop.get();
}

// An idle loop is not woken, and thus makes no system call.
BOOST_AUTO_TEST_CASE(an_idle_loop_does_nothing)
{
    auto const switches = [](pid_t thread) {
        std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
        std::string line;
        while (std::getline(status, line) && !line.starts_with("voluntary_ctxt_switches"))
            ;
        return line;
    };
    std::atomic<pid_t> thread{0};
    server.on_request = [&] { thread = ::gettid(); };
    beside loop(serve(10s));
    server.ring();
    wait_for(server.taken, 1);
    loop.wait_until_asleep();
    auto const before = switches(thread);
    BOOST_TEST(before != "");
    ::poll(nullptr, 0, 300);
    BOOST_TEST(switches(thread) == before);
    server.shutdown();
    loop.get();
}

BOOST_AUTO_TEST_CASE(a_shutdown_before_it_serves_is_not_lost)
{
    server.shutdown();
    server.shutdown();
    server.ring();
    server.serve_forever(1h);
    BOOST_TEST(server.taken == 0);
    beside loop(serve());
    wait_for(server.taken, 1);
    server.shutdown();
    loop.get();
}

BOOST_AUTO_TEST_CASE(shutdown_waits_for_the_loop)
{
    std::latch entered{1};
    std::latch leave{1};
    server.on_request = [&] {
        entered.count_down();
        leave.wait();
    };
    beside loop(serve());
    server.ring();
    entered.wait();
    beside shutter([&] { server.shutdown(); });
    shutter.wait_until_asleep();
    BOOST_TEST(!shutter.is_done());
    leave.count_down();
    shutter.get();
    BOOST_TEST(server.taken == 1);
    loop.get();
}

BOOST_AUTO_TEST_CASE(is_served_again_when_a_loop_that_was_stopped_is_left)
{
    std::latch leave{1};
    server.after_loop = [&] { leave.wait(); };
    beside first(serve());
    first.wait_until_asleep();
    server.shutdown();
    BOOST_TEST(!first.is_done());
    beside second(serve());
    second.wait_until_asleep();
    BOOST_TEST(!second.is_done());
    leave.count_down();
    first.get();
    server.ring();
    wait_for(server.taken, 1);
    server.shutdown();
    second.get();
}

BOOST_AUTO_TEST_CASE(shutdown_by_a_request_or_an_action_does_not_wait_for_itself)
{
    server.on_request = [&] { server.shutdown(); };
    server.ring();
    server.serve_forever(1h);
    BOOST_TEST(server.taken == 1);

    server.on_service = [&] { server.shutdown(); };
    server.serve_forever(1ms);

    // A request that runs elsewhere.
    std::latch begin{1};
    beside elsewhere([&] {
        active_request request(server);
        request.enter(endpoint("192.0.2.1:1234"));
        active_request::scope const current(&request);
        begin.wait();
        server.shutdown();
    });
    server.on_service = nullptr;
    server.on_request = [&] {
        begin.count_down();
        elsewhere.get();
    };
    server.ring();
    server.serve_forever(1h);
}

BOOST_AUTO_TEST_CASE(many_may_shut_it_down_at_once)
{
    for (int i = 0; i < 50; ++i)
    {
        beside loop(serve());
        loop.wait_until_asleep();
        std::vector<std::jthread> threads;
        for (int n = 0; n < 4; ++n)
            threads.emplace_back([&] { server.shutdown(); });
        loop.get();
        threads.clear();
        // Who came too late has asked the next one.
        server.shutdown();
        server.serve_forever(1h);
    }
}

BOOST_AUTO_TEST_CASE(a_signal_handler_may_request_a_shutdown)
{
    static base_server* target;
    target = &server;
    auto* const before = std::signal(SIGUSR1, [](int) { target->request_shutdown(); });
    beside loop(serve());
    loop.wait_until_asleep();
    loop.signal(SIGUSR1);
    loop.get();
    std::signal(SIGUSR1, before);
}

BOOST_AUTO_TEST_CASE(an_idle_loop_is_shut_down_at_once)
{
    using clock = std::chrono::steady_clock;
    std::vector<clock::duration> took;
    for (int i = 0; i < 51; ++i)
    {
        beside loop(serve(1h));
        loop.wait_until_asleep();
        auto const begin = clock::now();
        server.shutdown();
        took.push_back(clock::now() - begin);
        loop.get();
    }
    auto const median = took.begin() + 25;
    std::nth_element(took.begin(), median, took.end());
    // A release build on a quiet machine takes some 20 us; sanitizers and company take longer.
    BOOST_TEST((*median < 5ms), "took " << median->count() << " ns");
}

BOOST_AUTO_TEST_CASE(handles_one_request)
{
    server.ring();
    server.ring();
    server.handle_request();
    BOOST_TEST(server.taken == 1);
    server.handle_request();
    BOOST_TEST(server.taken == 2);
    beside waits([&] { server.handle_request(); });
    waits.wait_until_asleep();
    server.ring();
    waits.get();
    BOOST_TEST(server.taken == 3);
    BOOST_TEST(server.timeouts == 0);
    BOOST_TEST(server.services == 0);
}

BOOST_AUTO_TEST_CASE(waits_for_one_request_as_long_as_the_timeout)
{
    server.timeout = 100ms;
    int n = 0;
    support::check_lasts(100ms, [&] {
        server.handle_request();
        BOOST_TEST(server.timeouts == ++n);
    });
    server.timeout = 0ms;
    server.handle_request();
    BOOST_TEST(server.timeouts == n + 1);
    // What is there is taken even without any time.
    server.ring();
    server.handle_request();
    BOOST_TEST(server.taken == 1);
    BOOST_TEST(server.timeouts == n + 1);
}

BOOST_AUTO_TEST_CASE(waiting_for_one_request_ends_with_a_shutdown)
{
    beside waits([&] { server.handle_request(); });
    waits.wait_until_asleep();
    server.shutdown();
    waits.get();
    BOOST_TEST(server.timeouts == 0);

    server.shutdown();
    server.ring();
    server.handle_request();
    BOOST_TEST(server.taken == 0);
    server.handle_request();
    BOOST_TEST(server.taken == 1);
}

BOOST_AUTO_TEST_CASE(leaves_requests_where_they_are_while_there_is_no_room)
{
    server.room = false;
    beside loop(serve());
    server.ring();
    server.ring();
    loop.wait_until_asleep();
    BOOST_TEST(server.taken == 0);
    server.room = true;
    server.note_place_freed();
    wait_for(server.taken, 2);
    server.room = false;
    loop.wait_until_asleep();
    // Waiting at the limit does not delay a shutdown.
    server.shutdown();
    loop.get();
}

BOOST_AUTO_TEST_CASE(a_pause_grows_and_ends_when_a_place_is_free)
{
    support::logged const log;
    using clock = std::chrono::steady_clock;
    std::vector<clock::time_point> tries;
    std::latch long_pause{1};
    server.on_request = [&] {
        tries.push_back(clock::now());
        if (tries.size() == 7)
            long_pause.count_down();
        if (tries.size() <= 7)
        {
            server.ring();
            server.pause_taking("a test");
        }
        else
            server.resume_taking();
    };
    beside loop(serve());
    server.ring();
    long_pause.wait();
    // 5 + 10 + ... + 160 ms have passed, and 320 ms are to come.
    loop.wait_until_asleep();
    server.note_place_freed();
    wait_for(server.taken, 8);
    server.shutdown();
    loop.get();
    for (std::size_t i = 0; i < 6; ++i)
        BOOST_TEST((tries.at(i + 1) - tries.at(i) >= 5ms * (1 << i)), i);
    BOOST_TEST((tries.at(7) - tries.at(6) < 300ms));
    BOOST_TEST(log.count("a test") == 1u);
}

BOOST_AUTO_TEST_CASE(attends_to_what_a_strategy_adds)
{
    class events final : public event_source
    {
    public:
        ~events() override { ::close(descriptor_); }

        int descriptor() const noexcept override { return descriptor_; }
        std::chrono::steady_clock::time_point next_timer() const noexcept override { return at; }

        void run() override
        {
            std::uint64_t n;
            [[maybe_unused]] auto const got = ::read(descriptor_, &n, sizeof n);
            at = std::chrono::steady_clock::time_point::max();
            ++runs;
            runs.notify_all();
        }

        void set() const
        {
            std::uint64_t const one = 1;
            [[maybe_unused]] auto const n = ::write(descriptor_, &one, sizeof one);
        }

        std::atomic<int> runs{0};
        std::chrono::steady_clock::time_point at = std::chrono::steady_clock::now() + 10ms;

    private:
        int descriptor_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    } source;
    server.events = &source;
    beside loop(serve());
    wait_for(source.runs, 1);
    source.set();
    wait_for(source.runs, 2);
    server.room = false;
    source.set();
    wait_for(source.runs, 3);
    server.shutdown();
    loop.get();
    server.events = nullptr;
}

BOOST_AUTO_TEST_CASE(a_strategy_without_a_descriptor_waits_for_the_loop_as_well)
{
    // It keeps its descriptor to itself.
    class events final : public event_source
    {
    public:
        ~events() override { ::close(descriptor_); }

        int descriptor() const noexcept override { return -1; }
        std::chrono::steady_clock::time_point next_timer() const noexcept override { return at; }

        bool wait_with(
            std::span<int const> others, std::chrono::steady_clock::time_point until) override
        {
            std::vector<pollfd> all{{descriptor_, POLLIN, 0}};
            for (int const other : others)
                all.push_back({other, POLLIN, 0});
            auto const left = until - std::chrono::steady_clock::now();
            auto const ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
            ::poll(all.data(), all.size(), static_cast<int>(std::max<long>(ms, 0)));
            ++waits;
            std::uint64_t n;
            if (::read(descriptor_, &n, sizeof n) > 0)
                at = std::chrono::steady_clock::time_point::min();
            return true;
        }

        void run() override
        {
            at = std::chrono::steady_clock::time_point::max();
            ++runs;
            runs.notify_all();
        }

        void set() const
        {
            std::uint64_t const one = 1;
            [[maybe_unused]] auto const n = ::write(descriptor_, &one, sizeof one);
        }

        std::atomic<int> waits{0};
        std::atomic<int> runs{0};
        std::chrono::steady_clock::time_point at = std::chrono::steady_clock::time_point::max();

    private:
        int descriptor_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    } source;
    server.events = &source;
    beside loop(serve());
    loop.wait_until_asleep();
    source.set();
    wait_for(source.runs, 1);
    server.ring();
    wait_for(server.taken, 1);
    // Without room it is not ended by a request, but by the place that is free again.
    server.room = false;
    source.set();
    wait_for(source.runs, 2);
    server.ring();
    loop.wait_until_asleep();
    BOOST_TEST(server.taken == 1);
    server.room = true;
    server.note_place_freed();
    wait_for(server.taken, 2);
    server.shutdown();
    loop.get();
    server.events = nullptr;
    BOOST_TEST(source.runs == 2);
    BOOST_TEST(source.waits < 20);
}

BOOST_AUTO_TEST_CASE(closing_ends_a_running_loop_normally)
{
    beside loop(serve());
    loop.wait_until_asleep();
    server.server_close();
    BOOST_TEST(server.fileno() == -1);
    loop.get();
}

BOOST_AUTO_TEST_CASE(a_request_may_close_its_server)
{
    server.on_request = [&] { server.server_close(); };
    server.ring();
    server.serve_forever(1h);
    BOOST_TEST(server.taken == 1);
    BOOST_TEST(server.fileno() == -1);
}

BOOST_AUTO_TEST_CASE(closing_waits_for_requests_as_long_as_the_drain_timeout)
{
    server.drain_timeout = 100ms;
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"));
    auto const begin = std::chrono::steady_clock::now();
    server.server_close();
    auto const took = std::chrono::steady_clock::now() - begin;
    BOOST_TEST((took >= 100ms));
    BOOST_TEST((took < 1s));
    BOOST_TEST(!request.aborted());
}

BOOST_AUTO_TEST_CASE(a_drain_timeout_may_be_as_long_as_can_be_said)
{
    server.drain_timeout = std::chrono::nanoseconds::max();
    server.abort_timeout = std::chrono::nanoseconds::max();
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"));
    beside ender([&] { server.end_requests(); });
    ender.wait_until_asleep();
    BOOST_TEST(!request.aborted());
    request.leave();
    ender.get();
}

BOOST_AUTO_TEST_CASE(closing_does_not_wait_where_it_is_not_to_block)
{
    server.block_on_close = false;
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"));
    auto const begin = std::chrono::steady_clock::now();
    server.server_close();
    BOOST_TEST((std::chrono::steady_clock::now() - begin < 10s));
    request.leave();
}

BOOST_AUTO_TEST_CASE(a_request_to_abort_ends_the_wait_for_requests)
{
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"));
    beside closer([&] { server.server_close(); });
    closer.wait_until_asleep();
    server.request_abort();
    closer.get();
    BOOST_TEST(!request.aborted());
    beside ender([&] { server.end_requests(); });
    while (!request.aborted())
        std::this_thread::yield();
    request.leave();
    ender.get();
}

BOOST_AUTO_TEST_CASE(constructing_one_starts_nothing)
{
    auto const threads = [] {
        std::ifstream status("/proc/self/status");
        std::string line;
        while (std::getline(status, line) && !line.starts_with("Threads:"))
            ;
        return line;
    };
    auto const before = threads();
    ready<test_bell> another(0);
    BOOST_TEST(threads() == before);
}

BOOST_AUTO_TEST_SUITE_END()
