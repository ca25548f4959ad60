// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/preforking_mixin.hpp>

#define BOOST_TEST_MODULE preforking_mixin

#include "support/matrix_workers.hpp"
#include "support/names.hpp"

#include <socketserver/log.hpp>
#include <socketserver/strategy/coroutine_mixin.hpp>
#include <socketserver/strategy/forking_mixin.hpp>
#include <socketserver/strategy/threading_mixin.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

using namespace matrix;
using socketserver::preforking_mixin;
using socketserver::tcp_server;
using socketserver::threading_mixin;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

template <class Server>
bool has_workers(served_as<Server>& server, std::size_t n)
{
    return eventually([&] { return workers_of(server).size() == n; });
}

} // namespace

BOOST_AUTO_TEST_CASE(there_is_at_least_one_worker_by_default)
{
    BOOST_TEST(socketserver::default_workers() >= 1);
}

BOOST_FIXTURE_TEST_CASE(requests_run_in_the_workers, nothing_left)
{
    served_as<preforking> server(tells_its_process, two);
    auto one = server.client();
    auto other = server.client();
    std::set const served{std::stoi(hear(one)), std::stoi(hear(other))};
    BOOST_TEST(served.size() == 2);
    BOOST_TEST(!served.contains(::getpid()));
    BOOST_TEST(eventually([&] { return served == workers_of(server); }));
}

BOOST_FIXTURE_TEST_CASE(a_server_that_is_not_served_has_no_workers, nothing_left)
{
    socketserver::ready<preforking> server("127.0.0.1:0", echo);
    BOOST_TEST(server.active_workers().empty());
}

BOOST_FIXTURE_TEST_CASE(handle_request_is_refused, nothing_left)
{
    socketserver::ready<preforking> server("127.0.0.1:0", echo);
    BOOST_CHECK_EXCEPTION(
        server.handle_request(), std::logic_error, support::names("serve_forever()"));
}

BOOST_FIXTURE_TEST_CASE(a_worker_that_is_killed_is_replaced, nothing_left)
{
    served_as<preforking> server(tells_its_process, two);
    auto bystander = server.client();
    auto const survivor = std::stoi(hear(bystander));
    BOOST_REQUIRE(has_workers(server, 2));
    auto const before = workers_of(server);
    auto const victim =
        *std::find_if(before.begin(), before.end(), [&](int pid) { return pid != survivor; });
    ::kill(victim, SIGKILL);
    BOOST_TEST(eventually([&] {
        auto const now = workers_of(server);
        return now.size() == 2 && !now.contains(victim);
    }));
    BOOST_TEST(ask(bystander, "still there?") == "still there?");
    auto next = server.client();
    BOOST_TEST(!before.contains(std::stoi(hear(next))));
}

BOOST_FIXTURE_TEST_CASE(all_workers_may_be_killed_at_once, nothing_left)
{
    served_as<many> server(tells_its_process, two);
    BOOST_REQUIRE(has_workers(server, 2));
    auto const before = workers_of(server);
    for (int const pid : before)
        ::kill(pid, SIGKILL);
    // Waits in the system's queue until there is somebody again.
    auto client = server.client();
    BOOST_TEST(!before.contains(std::stoi(hear(client))));
    BOOST_TEST(has_workers(server, 2));
}

BOOST_FIXTURE_TEST_CASE(a_worker_that_leaves_does_not_stop_the_server, nothing_left)
{
    served_as<many> server(
        [](stream& s) {
            std::string line;
            s.read_line(line);
            if (line == "leave")
                ::_exit(0);
            s.wfile() << line << '\n';
        },
        two);
    for (int i = 0; i < 3; ++i)
    {
        auto victim = server.client();
        BOOST_TEST(ask(victim, "leave") == the_end);
        auto client = server.client();
        BOOST_TEST(ask(client, "still there?") == "still there?");
    }
}

BOOST_FIXTURE_TEST_CASE(a_worker_that_is_asked_to_go_answers_first, nothing_left)
{
    served_as<many> server(tells_its_process, two);
    auto client = server.client();
    auto const worker = std::stoi(hear(client));
    ::kill(worker, SIGTERM);
    // Another takes the new ones.
    BOOST_TEST(eventually([&] {
        auto other = server.client();
        return std::stoi(hear(other)) != worker;
    }));
    BOOST_TEST(ask(client, "still there?") == "still there?");
    client.leave();
    BOOST_TEST(eventually([&] { return !workers_of(server).contains(worker); }));
    BOOST_TEST(has_workers(server, 2));
}

BOOST_FIXTURE_TEST_CASE(shutdown_answers_what_is_in_progress, nothing_left)
{
    served_as<many> server(tells_its_process, two);
    auto client = server.client();
    auto const worker = std::stoi(hear(client));
    server.stop();
    BOOST_TEST(ask(client, "still there?") == "still there?");
    client.leave();
    server.end();
    BOOST_TEST(!is_alive(worker));
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_FIXTURE_TEST_CASE(no_worker_takes_a_request_after_a_shutdown, nothing_left)
{
    for (int i = 0; i < 30; ++i)
    {
        served_as<preforking> server(tells_its_process, two);
        auto early = server.client();
        BOOST_TEST(hear(early) != the_end);
        server->shutdown();
        auto late = server.client();
        BOOST_TEST(is_silent(late));
    }
}

BOOST_FIXTURE_TEST_CASE(workers_do_not_hear_the_interrupt_of_a_terminal, nothing_left)
{
    served_as<preforking> server(tells_its_process, two);
    auto client = server.client();
    auto const worker = std::stoi(hear(client));
    ::kill(worker, SIGINT);
    BOOST_TEST(ask(client, "still there?") == "still there?");
}

BOOST_FIXTURE_TEST_CASE(workers_outlive_their_parent_no_longer_than_their_requests, nothing_left)
{
    struct told
    {
        gate serves;
        std::atomic<int> port{0};
        std::atomic<int> workers[2]{};
    };
    shared<told> parent;
    process whole([&] {
        served_as<many> server(tells_its_process, two);
        parent->port = server.address().port();
        has_workers(server, 2);
        std::copy_n(workers_of(server).begin(), 2, parent->workers);
        parent->serves.open();
        server.join();
    });
    BOOST_REQUIRE(parent->serves.wait());
    endpoint const address("127.0.0.1:" + std::to_string(parent->port));
    client_stream busy(address);
    auto const its_worker = std::stoi(hear(busy));
    std::set<int> const workers(std::begin(parent->workers), std::end(parent->workers));
    BOOST_REQUIRE(workers.contains(its_worker));

    whole.kill(SIGKILL);
    BOOST_TEST(whole.wait() == -SIGKILL);
    BOOST_TEST(ask(busy, "still there?") == "still there?");
    for (int const pid : workers)
        if (pid != its_worker)
            BOOST_TEST(eventually([&] { return !is_alive(pid); }));
    BOOST_TEST(is_alive(its_worker));
    BOOST_TEST(ask(busy, "even now?") == "even now?");
    busy.leave();
    BOOST_TEST(eventually([&] { return !is_alive(its_worker); }));
    BOOST_CHECK_THROW(client_stream{address}, boost::system::system_error);
}

BOOST_FIXTURE_TEST_CASE(the_children_of_a_worker_do_not_outlive_it, nothing_left)
{
    served_as<preforking_mixin<socketserver::forking_mixin<tcp_server>>> server(
        tells_its_process, two);
    auto client = server.client();
    auto const child = std::stoi(hear(client));
    auto const workers = server->active_workers();
    auto const parent = [](int pid) {
        std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
        int number = 0;
        std::string name;
        char state = 0;
        int result = 0;
        stat >> number >> name >> state >> result;
        return result;
    };
    auto const its_worker = parent(child);
    BOOST_REQUIRE(std::find(workers.begin(), workers.end(), its_worker) != workers.end());
    ::kill(its_worker, SIGKILL);
    BOOST_TEST(eventually([&] { return !is_alive(child); }));
    BOOST_TEST(hear(client) == the_end);
}

BOOST_FIXTURE_TEST_CASE(a_hook_that_throws_costs_its_worker_alone, nothing_left)
{
    class throws_once : public tcp_server
    {
    public:
        using tcp_server::tcp_server;

        void service_actions() override
        {
            tcp_server::service_actions();
            // Called in the supervising process, too, where it would end the loop.
            if (::getpid() != supervisor && turns && (*turns)++ == 3)
                throw std::runtime_error("thrown by a hook");
        }

        std::atomic<int>* turns = nullptr;
        pid_t supervisor = ::getpid();
    };

    shared<std::atomic<int>> turns(0);
    served_as<preforking_mixin<throws_once>> server(echo, [&](auto& s) {
        s.workers = 2;
        s.turns = &*turns;
    });
    for (int i = 0; i < 10; ++i)
    {
        auto client = server.client();
        BOOST_TEST(ask(client, "hello") == "hello");
    }
    BOOST_TEST(eventually([&] { return *turns > 3; }));
    BOOST_TEST(has_workers(server, 2));
}

BOOST_FIXTURE_TEST_CASE(workers_that_die_young_are_not_replaced_in_haste, nothing_left)
{
    class dies : public tcp_server
    {
    public:
        using tcp_server::tcp_server;

        std::optional<accepted> get_request() override
        {
            ++*lives;
            ::_exit(EXIT_FAILURE);
        }

        std::atomic<int>* lives = nullptr;
    };

    shared<std::atomic<int>> lives(0);
    served_as<preforking_mixin<dies>> server(echo, [&](auto& s) {
        s.workers = 1;
        s.lives = &*lives;
    });
    // It is there, and kills one after the other.
    auto client = server.client();
    auto const start = std::chrono::steady_clock::now();
    BOOST_TEST(eventually([&] { return *lives >= 7; }));
    // Five at once, 100 ms later the sixth, 200 ms after that the seventh.
    BOOST_CHECK(std::chrono::steady_clock::now() - start >= 290ms);
    BOOST_TEST(duration_of([&] { server.stop(); }) < 2s);
}

BOOST_FIXTURE_TEST_CASE(a_stuck_worker_is_killed, nothing_left)
{
    settings set;
    set.drain_timeout = 20ms;
    set.abort_timeout = 20ms;
    served_as<preforking> server(
        [](stream& s) {
            s.wfile() << ::getpid() << '\n' << std::flush;
            sigset_t all;
            ::sigfillset(&all);
            ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
            for (;;)
                ::pause();
        },
        two, set);
    auto client = server.client();
    auto const worker = std::stoi(hear(client));
    BOOST_TEST(duration_of([&] { server.end(); }) < patience / 2);
    BOOST_TEST(!is_alive(worker));
}

BOOST_FIXTURE_TEST_CASE(threads_of_a_worker_are_its_own, nothing_left)
{
    served_as<preforking_mixin<threading_mixin<tcp_server>>> server(
        [](stream& s) {
            s.wfile() << ::getpid() << ' ' << ::gettid() << '\n';
            echo(s);
        },
        [](auto& s) { s.workers = 1; });
    auto one = server.client();
    auto other = server.client();
    auto const first = hear(one);
    auto const second = hear(other);
    BOOST_TEST(first != second);
    BOOST_TEST(std::stoi(first) == std::stoi(second));
}
