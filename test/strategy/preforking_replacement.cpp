// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Workers that are replaced while the server serves: after so many requests, and when asked for.

#define BOOST_TEST_MODULE preforking_replacement

#include "support/logged.hpp"
#include "support/matrix_workers.hpp"

#include <socketserver/run_until_signal.hpp>
#include <socketserver/strategy/coroutine_mixin.hpp>
#include <socketserver/strategy/preforking_mixin.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <csignal>
#include <set>
#include <stdexcept>
#include <string>
#include <unistd.h>

using namespace matrix;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// The workers of a server that has just begun: one may serve before the fork has returned.
template <class Server>
std::set<int> first_workers_of(served_as<Server>& server)
{
    BOOST_TEST(eventually([&] { return workers_of(server).size() == server->workers; }));
    return workers_of(server);
}

// Whether none of these is left, and as many others are there.
template <class Server>
bool are_replaced(served_as<Server>& server, std::set<int> const& old)
{
    return eventually([&] {
        auto const now = workers_of(server);
        return now.size() == old.size() &&
               std::none_of(now.begin(), now.end(), [&](int pid) { return old.contains(pid); });
    });
}

} // namespace

BOOST_FIXTURE_TEST_CASE(a_worker_is_replaced_after_so_many_requests, nothing_left)
{
    served_as<preforking> server(tells_its_process, [](auto& s) {
        s.workers = 1;
        s.max_requests = 3;
        s.max_requests_jitter = 0;
    });
    for (int life = 0; life < 3; ++life)
    {
        auto const worker = first_workers_of(server);
        for (int i = 0; i < 3; ++i)
        {
            auto client = server.client();
            // It serves until its successor does.
            BOOST_TEST(std::stoi(hear(client)) == *worker.begin());
            BOOST_TEST(ask(client, "hello") == "hello");
        }
        BOOST_TEST(are_replaced(server, worker));
    }
}

BOOST_FIXTURE_TEST_CASE(a_worker_lasts_as_long_as_it_likes_by_default, nothing_left)
{
    served_as<preforking> server(tells_its_process, [](auto& s) { s.workers = 1; });
    auto const worker = first_workers_of(server);
    for (int i = 0; i < 200; ++i)
    {
        auto client = server.client();
        BOOST_REQUIRE(std::stoi(hear(client)) == *worker.begin());
    }
    BOOST_CHECK(workers_of(server) == worker);
}

BOOST_FIXTURE_TEST_CASE(a_request_in_progress_outlasts_the_replacement, nothing_left)
{
    served_as<many> server(tells_its_process, two);
    auto client = server.client();
    auto const its_worker = std::stoi(hear(client));
    auto const old = first_workers_of(server);
    server->replace_workers();
    BOOST_TEST(eventually([&] { return workers_of(server).size() == 3; }));
    BOOST_TEST(workers_of(server).contains(its_worker));
    // New ones go to the new ones.
    BOOST_TEST(eventually([&] {
        auto const now = workers_of(server);
        return std::count_if(now.begin(), now.end(), [&](int pid) { return old.contains(pid); }) ==
               1;
    }));
    BOOST_TEST(eventually([&] {
        auto other = server.client();
        return !old.contains(std::stoi(hear(other)));
    }));
    BOOST_TEST(ask(client, "still there?") == "still there?");
    client.leave();
    BOOST_TEST(are_replaced(server, old));
    // What a worker drains is no matter of how the server closes.
    BOOST_TEST(eventually([&] { return server.server().counters().active == 0; }));
    server.server().end_requests();
    BOOST_TEST(server.server().report().drained == 0u);
}

BOOST_FIXTURE_TEST_CASE(successors_begin_with_the_memory_of_now, nothing_left)
{
    std::atomic<int> version{1};
    served_as<preforking> server([&](stream& s) { s.wfile() << version.load() << '\n'; }, two);
    auto const answer = [&] {
        auto client = server.client();
        return hear(client);
    };
    BOOST_TEST(answer() == "1");
    auto const old = first_workers_of(server);
    version = 2;
    BOOST_TEST(answer() == "1");
    server->replace_workers();
    BOOST_TEST(are_replaced(server, old));
    BOOST_TEST(answer() == "2");
}

BOOST_FIXTURE_TEST_CASE(a_handler_may_have_all_workers_replaced, nothing_left)
{
    served_as<preforking> server(
        [](stream& s) {
            auto& self = socketserver::active_request::current()->server();
            dynamic_cast<preforking&>(self).replace_workers();
            s.wfile() << "done\n";
        },
        two);
    auto const old = first_workers_of(server);
    auto client = server.client();
    BOOST_TEST(hear(client) == "done");
    BOOST_TEST(are_replaced(server, old));
}

BOOST_FIXTURE_TEST_CASE(a_worker_tells_of_those_that_it_cuts_off, nothing_left)
{
    process whole([] {
        socketserver::log_to_stderr();
        served_as<many> server(tells_its_process, [](auto& s) {
            s.workers = 1;
            s.drain_timeout = 50ms;
        });
        auto client = server.client();
        if (hear(client) == the_end)
            throw std::runtime_error("not served");
        server->replace_workers();
        if (hear(client) != the_end)
            throw std::runtime_error("not cut off");
    });
    BOOST_TEST(whole.wait() == 0, whole.errors());
    auto const& text = whole.errors();
    BOOST_TEST(text.find(": aborts 1 request that did not end in time") != std::string::npos, text);
}

BOOST_FIXTURE_TEST_CASE(replacing_nobody_is_nothing, nothing_left)
{
    socketserver::ready<preforking> server("127.0.0.1:0", echo);
    server.replace_workers();
    BOOST_TEST(server.active_workers().empty());
}

BOOST_FIXTURE_TEST_CASE(a_server_may_stop_while_its_workers_are_replaced, nothing_left)
{
    for (int i = 0; i < 5; ++i)
    {
        served_as<many> server(tells_its_process, two);
        BOOST_TEST(eventually([&] { return server.seen().forked >= 2u; }));
        server->replace_workers();
        BOOST_TEST(eventually([&] { return server.seen().forked >= std::size_t(2 + i % 3); }));
        server->replace_workers();
        BOOST_TEST(duration_of([&] { server.end(); }) < patience / 2);
    }
}

BOOST_FIXTURE_TEST_CASE(a_hang_up_replaces_the_workers, nothing_left)
{
    struct told
    {
        gate serves;
        std::atomic<int> port{0};
    };
    shared<told> program;
    process whole([&] {
        socketserver::log_to_stderr(socketserver::log_severity::info);
        socketserver::ready<many> server(
            socketserver::defer_activation, "127.0.0.1:0", tells_its_process);
        server.workers = 1;
        server.activate();
        program->port = server.server_address().port();
        program->serves.open();
        socketserver::run_until_signal(server);
    });
    BOOST_REQUIRE(program->serves.wait());
    endpoint const address("127.0.0.1:" + std::to_string(program->port));
    client_stream client(address);
    auto const old = std::stoi(hear(client));
    whole.kill(SIGHUP);
    BOOST_TEST(eventually([&] {
        client_stream other(address);
        return std::stoi(hear(other)) != old;
    }));
    // A worker hears that a terminal has gone, too.
    ::kill(old, SIGHUP);
    BOOST_TEST(ask(client, "still there?") == "still there?");
    client.leave();
    BOOST_TEST(eventually([&] { return !is_alive(old); }));
    whole.kill(SIGTERM);
    BOOST_TEST(whole.wait() == 0);
    BOOST_TEST(whole.errors().find("replacing the workers") != std::string::npos, whole.errors());
}
