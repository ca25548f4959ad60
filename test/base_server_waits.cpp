// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What the loop waits for: requests, places, and what a strategy adds.

#include <socketserver/base_server.hpp>

#define BOOST_TEST_MODULE base_server_waits
#include <boost/test/unit_test.hpp>

#include "support/bell.hpp"
#include "support/logged.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <latch>
#include <poll.h>
#include <span>
#include <string>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

using namespace support;
using clk = std::chrono::steady_clock;

namespace {

// What a strategy adds: it runs when it is set, and when its time has come.
class events : public event_source
{
public:
    ~events() override { ::close(descriptor_); }

    clk::time_point next_timer() const noexcept override { return at; }

    void run() override
    {
        take();
        at = clk::time_point::max();
        ++runs;
        runs.notify_all();
    }

    void set() const
    {
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const n = ::write(descriptor_, &one, sizeof one);
    }

    std::atomic<int> runs{0};
    clk::time_point at = clk::time_point::max();

protected:
    // Whether it was set.
    bool take() const noexcept
    {
        std::uint64_t n;
        return ::read(descriptor_, &n, sizeof n) > 0;
    }

    int const descriptor_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
};

class events_in_the_open final : public events
{
    int descriptor() const noexcept override { return descriptor_; }
};

// Keeps its descriptor to itself.
class events_of_its_own final : public events
{
public:
    int descriptor() const noexcept override { return -1; }

    bool wait_with(std::span<int const> others, clk::time_point until) override
    {
        std::vector<pollfd> all{{descriptor_, POLLIN, 0}};
        for (int const other : others)
            all.push_back({other, POLLIN, 0});
        auto const ms = std::chrono::ceil<std::chrono::milliseconds>(until - clk::now()).count();
        ::poll(all.data(), all.size(), static_cast<int>(std::max<long>(ms, 0)));
        ++waits;
        if (take())
            at = clk::time_point::min();
        return true;
    }

    std::atomic<int> waits{0};
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(servers, bell_tower)

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

BOOST_AUTO_TEST_CASE(signals_that_interrupt_are_not_seen)
{
    counted_signal const storm(SIGUSR1);
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
    logged const log;
    std::vector<clk::time_point> tries;
    std::latch long_pause{1};
    server.on_request = [&] {
        tries.push_back(clk::now());
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
    events_in_the_open source;
    source.at = clk::now() + 10ms;
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
    events_of_its_own source;
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

BOOST_AUTO_TEST_SUITE_END()
