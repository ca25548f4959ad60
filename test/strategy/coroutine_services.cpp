// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The watch over coroutines that do not wait; this_request has what else they share.

#include <socketserver/strategy/coroutine_services.hpp>

#define BOOST_TEST_MODULE coroutine_services

#include "support/logged.hpp"
#include "support/matrix_cells.hpp"
#include "support/matrix_threads.hpp"

#include <socketserver/this_request.hpp>

#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

using namespace matrix;
namespace this_request = socketserver::this_request;
using socketserver::active_request;
using socketserver::coroutine_mixin;
using socketserver::tcp_server;
using coroutine = coroutine_mixin<tcp_server>;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

constexpr auto warning = "without waiting; other requests wait for it";

// A server whose handlers do for each line what it says: "block" until a gate is opened, or "sleep".
struct watched : served_as<coroutine>
{
    template <class Configure>
    explicit watched(Configure const& configure)
        : served_as([this](stream& s) { handle(s); }, configure)
    {
    }

    void handle(stream& s)
    {
        for (std::string line; s.read_line(line);)
        {
            if (line == "block")
                go_on.wait();
            else if (line == "sleep")
                this_request::sleep_for(200ms);
            s.wfile() << active_request::current()->client().str() << '\n';
        }
    }

    gate go_on;
};

// How often all threads of this process have waited.
unsigned long waits_of_all_threads()
{
    unsigned long all = 0;
    for (auto const& task : std::filesystem::directory_iterator("/proc/self/task"))
    {
        std::ifstream status(task.path() / "status");
        for (std::string word; status >> word;)
            if (unsigned long n; word == "voluntary_ctxt_switches:" && status >> n)
                all += n;
    }
    return all;
}

} // namespace

BOOST_FIXTURE_TEST_CASE(who_runs_long_without_waiting_is_named_while_it_does, nothing_left)
{
    support::logged log;
    watched server([](auto& s) { s.max_run = 30ms; });
    auto other = server.client();
    ask(other, "who?");
    auto client = server.client();
    auto const name = ask(client, "who?");
    BOOST_TEST(log.count(warning) == 0);
    say(client, "block");
    BOOST_TEST(
        log.wait_for("warning: " + name + ": its handler has been running for 30 ms " + warning));
    server.go_on.open();
    BOOST_TEST(hear(client) == name);
    BOOST_TEST(log.count(warning) == 1);
    // Once for each time.
    say(client, "block");
    BOOST_TEST(eventually([&] { return log.count(warning) == 2; }));
    server.go_on.open();
    BOOST_TEST(hear(client) == name);
}

BOOST_FIXTURE_TEST_CASE(it_may_be_any_of_the_threads, nothing_left)
{
    support::logged log;
    watched server([](auto& s) {
        s.max_run = 30ms;
        s.threads = 3;
    });
    std::vector<client_stream> clients;
    for (int i = 0; i < 3; ++i)
    {
        clients.push_back(server.client());
        ask(clients.back(), "who?");
    }
    for (auto& client : clients)
        say(client, "block");
    BOOST_TEST(eventually([&] { return log.count(warning) == 3; }));
    for (int i = 0; i < 3; ++i)
        server.go_on.open();
    for (auto& client : clients)
        BOOST_TEST(hear(client) != the_end);
}

BOOST_FIXTURE_TEST_CASE(who_waits_may_take_its_time, nothing_left)
{
    support::logged log;
    watched server([](auto& s) { s.max_run = 50ms; });
    auto client = server.client();
    BOOST_TEST(ask(client, "sleep") != the_end);
    BOOST_TEST(log.count(warning) == 0);
}

BOOST_FIXTURE_TEST_CASE(an_idle_server_is_left_alone, nothing_left)
{
    watched server([](auto& s) { s.max_run = 10ms; });
    auto client = server.client();
    for (int i = 0; i < 3; ++i)
    {
        ask(client, "who?");
        // This thread waits now and then; the one that watches would, forty times.
        BOOST_TEST(eventually([] {
            auto const before = waits_of_all_threads();
            std::this_thread::sleep_for(200ms);
            return waits_of_all_threads() - before < 10;
        }));
    }
}

BOOST_FIXTURE_TEST_CASE(nobody_watches_who_is_not_to_be, nothing_left)
{
    support::logged log;
    auto const before = threads_of();
    watched server([](auto& s) { s.max_run = 0s; });
    auto client = server.client();
    ask(client, "who?");
    BOOST_TEST(threads_of() == before + 1);
    say(client, "block");
    std::this_thread::sleep_for(200ms);
    server.go_on.open();
    BOOST_TEST(hear(client) != the_end);
    BOOST_TEST(log.count(warning) == 0);
}

BOOST_FIXTURE_TEST_CASE(without_a_thread_to_watch_the_server_serves, nothing_left)
{
    support::logged log;
    watched server([](auto&) {});
    no_more_threads const none;
    for (int i = 0; i < 3; ++i)
    {
        auto client = server.client();
        BOOST_TEST(ask(client, "who?") != the_end);
    }
    BOOST_TEST(log.count("nobody watches") == 1);
}

BOOST_FIXTURE_TEST_CASE(requests_may_end_while_they_are_looked_at, nothing_left)
{
    support::logged log;
    watched server([](auto& s) {
        s.max_run = 2ms;
        s.threads = 2;
    });
    for (int i = 0; i < 50; ++i)
    {
        auto client = server.client();
        say(client, "block");
        std::this_thread::sleep_for(std::chrono::microseconds(1500 + 40 * i));
        server.go_on.open();
        hear(client);
    }
}
