// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Coroutines in several threads: who runs what, and the way down of all.

#include <socketserver/strategy/coroutine_mixin.hpp>

#define BOOST_TEST_MODULE coroutine_mixin_threads

#include "support/matrix_cells.hpp"
#include "support/matrix_threads.hpp"

#include <socketserver/this_request.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace matrix;
namespace this_request = socketserver::this_request;
using coroutine = socketserver::coroutine_mixin<socketserver::tcp_server>;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// A server of coroutines in so many threads.
struct in_threads : served_as<coroutine>
{
    in_threads(
        std::size_t n, socketserver::handler_factory<stream> handlers, settings const& set = {})
        : served_as(
              std::move(handlers), [n](auto& server) { server.threads = n; }, set)
    {
    }
};

} // namespace

BOOST_FIXTURE_TEST_CASE(each_thread_runs_as_many_as_the_others, nothing_left)
{
    in_threads server(3, tells_its_thread);
    std::vector<client_stream> clients;
    std::map<std::string, int> runs_in;
    for (int i = 0; i < 12; ++i)
    {
        clients.push_back(server.client());
        ++runs_in[hear(clients.back())];
    }
    BOOST_TEST(runs_in.size() == 3);
    for (auto const& [thread, n] : runs_in)
        BOOST_TEST(n == 4);
}

BOOST_FIXTURE_TEST_CASE(one_stays_in_its_thread, nothing_left)
{
    in_threads server(2, [](stream& s) {
        for (std::string line; s.read_line(line);)
        {
            this_request::blocking([] {});
            s.wfile() << ::gettid() << '\n';
        }
    });
    std::vector<client_stream> clients;
    std::vector<std::string> threads;
    for (int i = 0; i < 6; ++i)
    {
        clients.push_back(server.client());
        threads.push_back(ask(clients.back(), "?"));
    }
    for (int round = 0; round < 5; ++round)
        for (int i = 0; i < 6; ++i)
            BOOST_TEST(ask(clients[i], "?") == threads[i]);
}

BOOST_FIXTURE_TEST_CASE(the_hooks_run_in_the_thread_of_the_loop, nothing_left)
{
    struct hooked : coroutine
    {
        using coroutine::coroutine;

        bool verify_request(stream&, socketserver::endpoint const&) override
        {
            verified_in = ::gettid();
            return true;
        }

        pid_t verified_in = 0;
    };

    served_as<hooked> server(tells_its_thread, [](auto& s) { s.threads = 2; });
    std::vector<client_stream> clients;
    std::set<pid_t> hooks;
    for (int i = 0; i < 6; ++i)
    {
        clients.push_back(server.client());
        hear(clients.back());
        hooks.insert(server->verified_in);
    }
    BOOST_TEST(hooks.size() == 1);
}

BOOST_FIXTURE_TEST_CASE(the_limit_counts_all_threads, nothing_left)
{
    settings set;
    set.max_coroutines = 4;
    in_threads server(2, echo, set);
    std::vector<client_stream> clients;
    for (int i = 0; i < 4; ++i)
    {
        clients.push_back(server.client());
        BOOST_TEST(ask(clients.back(), "hello") == "hello");
    }
    auto one_more = server.client();
    say(one_more, "hello");
    BOOST_TEST(is_silent(one_more));
    // Whoever goes, in whichever thread, makes room.
    for (int i = 0; i < 4; ++i)
    {
        clients[i].leave();
        BOOST_TEST(hear(one_more) == "hello");
        clients[i] = std::move(one_more);
        one_more = server.client();
        say(one_more, "hello");
    }
}

BOOST_FIXTURE_TEST_CASE(a_drain_waits_for_all_threads, nothing_left)
{
    in_threads server(3, echo);
    std::vector<client_stream> clients;
    for (int i = 0; i < 6; ++i)
    {
        clients.push_back(server.client());
        BOOST_TEST(ask(clients.back(), "hello") == "hello");
    }
    server.server().shutdown();
    std::atomic<bool> ended{false};
    std::thread ends([&] {
        server.server().server_close();
        ended = true;
    });
    for (auto& client : clients)
    {
        BOOST_TEST(ask(client, "still there?") == "still there?");
        BOOST_TEST(!ended);
        client.leave();
    }
    ends.join();
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_FIXTURE_TEST_CASE(what_outlives_the_drain_is_aborted_in_all_threads, nothing_left)
{
    settings set;
    set.drain_timeout = 100ms;
    in_threads server(3, echo, set);
    std::vector<client_stream> clients;
    for (int i = 0; i < 6; ++i)
    {
        clients.push_back(server.client());
        BOOST_TEST(ask(clients.back(), "hello") == "hello");
    }
    BOOST_TEST(duration_of([&] { server.end(); }) < 5s);
    BOOST_TEST(server.seen().errors == 6);
    for (auto& client : clients)
        BOOST_TEST(hear(client) == the_end);
}

BOOST_FIXTURE_TEST_CASE(what_does_not_end_though_aborted_ends_the_process, nothing_left)
{
    process child([] {
        settings set;
        set.drain_timeout = 0s;
        set.abort_timeout = 100ms;
        in_threads server(
            2,
            [](stream& s) {
                // The abort may come before this has returned.
                boost::system::error_code ignored;
                s.write_some(boost::asio::buffer("hello\n", 6), ignored);
                for (;;)
                    std::this_thread::sleep_for(1h);
            },
            set);
        auto first = server.client();
        hear(first);
        server.end();
    });
    BOOST_TEST(child.wait() == EXIT_FAILURE);
    BOOST_TEST(child.errors().find("does not end though it was aborted") != std::string::npos,
        child.errors());
}

BOOST_FIXTURE_TEST_CASE(where_no_thread_can_be_started_the_loop_runs_all, nothing_left)
{
    in_threads server(3, tells_its_thread);
    no_more_threads const none;
    std::vector<client_stream> clients;
    std::set<std::string> threads;
    for (int i = 0; i < 6; ++i)
    {
        clients.push_back(server.client());
        threads.insert(hear(clients.back()));
    }
    BOOST_TEST(threads.size() == 1);
}

BOOST_FIXTURE_TEST_CASE(handle_request_gives_each_thread_its_share, nothing_left)
{
    socketserver::ready<coroutine> server("127.0.0.1:0", tells_its_thread);
    server.threads = 2;
    std::vector<client_stream> clients;
    std::map<std::string, int> runs_in;
    for (int i = 0; i < 6; ++i)
    {
        clients.emplace_back(server.server_address());
        server.handle_request();
        ++runs_in[hear(clients.back())];
    }
    BOOST_TEST(runs_in.size() == 2);
    BOOST_TEST(!runs_in.contains(std::to_string(::gettid())));
}
