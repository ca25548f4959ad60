// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What pre-forking promises while clients keep coming: no connection is lost when workers are
// replaced, and no process is left when the supervising one is killed.

#define BOOST_TEST_MODULE preforking_load

#include "support/matrix_cells.hpp"

#include <socketserver/run_until_signal.hpp>
#include <socketserver/strategy/coroutine_mixin.hpp>
#include <socketserver/strategy/forking_mixin.hpp>
#include <socketserver/strategy/preforking_mixin.hpp>
#include <socketserver/strategy/threading_mixin.hpp>

#include <boost/mp11/list.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <csignal>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace matrix;
using socketserver::coroutine_mixin;
using socketserver::forking_mixin;
using socketserver::preforking_mixin;
using socketserver::tcp_server;
using socketserver::threading_mixin;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

constexpr std::size_t workers = 2;

struct counts
{
    gate serves;
    std::atomic<int> port{0};
    std::atomic<int> forked{0};
};

// A program with a server in its only thread, so that it may fork, in a process group of its own.
template <class Server>
class program
{
public:
    explicit program(handler_factory<stream> handlers, std::size_t max_requests = 0)
        : process_([this, &handlers, max_requests] {
            ::setpgid(0, 0);
            observations unused;
            counted_ready server(*counts_, std::move(handlers), max_requests);
            counts_->port = server.server_address().port();
            counts_->serves.open();
            socketserver::run_until_signal(server, 1h);
        })
    {
        BOOST_REQUIRE(counts_->serves.wait());
        address = endpoint("127.0.0.1:0").with_port(static_cast<std::uint16_t>(counts_->port));
    }

    int forked() const { return counts_->forked; }
    process& self() { return process_; }

    endpoint address;

private:
    class counted : public Server
    {
    public:
        counted(counts& c, handler_factory<stream> handlers, std::size_t max_requests)
            : Server("127.0.0.1:0", std::move(handlers))
            , counts_(c)
        {
            this->workers = ::workers;
            this->max_requests = max_requests;
            this->abort_timeout = 200ms;
        }

    protected:
        void after_fork(socketserver::fork_role role) override
        {
            Server::after_fork(role);
            counts_.forked += role == socketserver::fork_role::worker;
        }

    private:
        counts& counts_;
    };

    using counted_ready = socketserver::ready<counted>;

    shared<counts> counts_;
    process process_;
};

// Clients that come one after the other, a number of them at a time, until this ends.
class load
{
public:
    load(endpoint const& server, int clients)
    {
        for (int i = 0; i < clients; ++i)
            threads_.emplace_back([this, server] {
                while (!over_)
                    one(server);
            });
    }

    ~load() { end(); }

    void end()
    {
        over_ = true;
        for (auto& thread : threads_)
            thread.join();
        threads_.clear();
    }

    int served() const { return served_; }
    int lost() const { return lost_; }

private:
    void one(endpoint const& server)
    {
        try
        {
            client_stream client(server);
            if (ask(client, "hello") != "hello")
                throw std::runtime_error("no answer");
            ++served_;
        }
        catch (std::exception const&)
        {
            ++lost_;
        }
    }

    std::atomic<bool> over_{false};
    std::atomic<int> served_{0};
    std::atomic<int> lost_{0};
    std::vector<std::thread> threads_;
};

void answer(stream& s)
{
    std::string line;
    s.read_line(line);
    s.wfile() << line << '\n';
}

// A round of replacements after every hundred connections.
template <class Server>
void replace_under_load(int rounds, int clients)
{
    constexpr int between = 100;
    program<Server> server(answer);
    BOOST_TEST(eventually([&] { return server.forked() == workers; }));
    load clients_of(server.address, clients);
    for (int round = 1; round <= rounds; ++round)
    {
        BOOST_REQUIRE(eventually(
            [&] { return clients_of.served() >= round * between || clients_of.lost() != 0; }));
        server.self().kill(SIGHUP);
        BOOST_REQUIRE(
            eventually([&] { return server.forked() >= static_cast<int>(workers) * (round + 1); }));
    }
    clients_of.end();
    BOOST_TEST(clients_of.lost() == 0);
    BOOST_TEST(clients_of.served() >= rounds * between);
    server.self().kill(SIGTERM);
    BOOST_TEST(server.self().wait() == 0, server.self().errors());
}

// The sanitizers make a fork ten times as dear: what they could find, they find in a few.
constexpr int rounds = support::slowness == 1 ? 200 : 20;

} // namespace

BOOST_FIXTURE_TEST_CASE(two_hundred_rounds_lose_none_of_twenty_thousand, nothing_left)
{
    replace_under_load<preforking_mixin<tcp_server>>(rounds, 8);
}

// Nobody else comes whose connection would wake a worker for the one that was forgotten.
BOOST_FIXTURE_TEST_CASE(a_hundred_rounds_lose_none_of_one_client, nothing_left)
{
    replace_under_load<preforking_mixin<tcp_server>>(rounds / 2, 1);
}

using others = boost::mp11::mp_list<preforking_mixin<threading_mixin<tcp_server>>,
    preforking_mixin<forking_mixin<tcp_server>>, preforking_mixin<coroutine_mixin<tcp_server>>>;

BOOST_AUTO_TEST_CASE_TEMPLATE(other_strategies_lose_none_either, Server, others)
{
    nothing_left left;
    replace_under_load<Server>(rounds / 10, 4);
    left.teardown();
}

BOOST_FIXTURE_TEST_CASE(workers_that_last_for_some_requests_lose_none, nothing_left)
{
    program<preforking_mixin<coroutine_mixin<tcp_server>>> server(answer, 20);
    load clients(server.address, 4);
    BOOST_TEST(eventually([&] { return server.forked() >= rounds / 2 || clients.lost() != 0; }));
    clients.end();
    BOOST_TEST(clients.lost() == 0);
    // Each takes what it lasts for at least.
    BOOST_TEST(clients.served() >= 20 * (server.forked() - 2 * static_cast<int>(workers)));
    server.self().kill(SIGTERM);
    BOOST_TEST(server.self().wait() == 0, server.self().errors());
}

namespace {

// The processes of a group that are more than zombies.
std::vector<pid_t> processes_of(pid_t group)
{
    std::vector<pid_t> result;
    for (auto const& entry : std::filesystem::directory_iterator("/proc"))
    {
        auto const name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != name.npos)
            continue;
        auto const pid = static_cast<pid_t>(std::stoi(name));
        if (::getpgid(pid) == group && is_alive(pid))
            result.push_back(pid);
    }
    return result;
}

} // namespace

using all = boost::mp11::mp_push_front<others, preforking_mixin<tcp_server>>;

BOOST_AUTO_TEST_CASE_TEMPLATE(nobody_outlives_a_supervisor_that_is_killed_under_load, Server, all)
{
    nothing_left left;
    for (int i = 0; i < 5; ++i)
    {
        program<Server> server(answer);
        load clients(server.address, 4);
        BOOST_TEST(eventually([&] { return clients.served() >= 20 * (i + 1); }));
        // Just forked, some of them.
        server.self().kill(SIGHUP);
        if (i % 2 != 0)
            BOOST_TEST(eventually([&] { return server.forked() > static_cast<int>(workers); }));
        auto const group = server.self().pid();
        server.self().kill(SIGKILL);
        server.self().wait();
        BOOST_TEST(eventually([&] { return processes_of(group).empty(); }));
        clients.end();
    }
    left.teardown();
}

BOOST_FIXTURE_TEST_CASE(a_child_that_does_not_listen_outlives_nobody_for_long, nothing_left)
{
    shared<gate> deaf;
    program<preforking_mixin<forking_mixin<tcp_server>>> server([&](stream& s) {
        s.wfile() << ::getpid() << '\n' << std::flush;
        deaf->open();
        for (;;)
            ::pause();
    });
    client_stream client(server.address);
    auto const child = std::stoi(hear(client));
    BOOST_TEST(deaf->wait());
    auto const group = server.self().pid();
    // Nobody is left who would kill it.
    for (auto const pid : processes_of(group))
        if (pid != child)
            ::kill(pid, SIGKILL);
    server.self().wait();
    BOOST_TEST(eventually([&] { return processes_of(group).empty(); }));
}
