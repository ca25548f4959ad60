// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/fork_server.hpp>

#define BOOST_TEST_MODULE fork_server

#include "support/logged.hpp"
#include "support/matrix_fork_server.hpp"
#include "support/names.hpp"

#include <socketserver/log.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <latch>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

using namespace matrix;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

int version_of_the_program = 0;

// Says which process runs it and whose child that is, and waits.
void tells_its_process(stream& s)
{
    s.wfile() << ::getpid() << '\n' << ::getppid() << '\n';
    std::string line;
    s.read_line(line);
}

void waits_for_ever(stream& s)
{
    s.wfile() << ::getpid() << '\n' << std::flush;
    for (;;)
        ::pause();
}

std::string as_lines(std::map<int, std::string> const& descriptors)
{
    std::string lines;
    for (auto const& [number, what] : descriptors)
        lines += std::to_string(number) + ' ' + what + '\n';
    return lines;
}

} // namespace

BOOST_FIXTURE_TEST_CASE(a_handler_sees_the_program_as_it_was_at_the_start, nothing_left)
{
    version_of_the_program = 1;
    served_by_fork_server<> server(
        [](stream& s) { s.wfile() << version_of_the_program++ << '\n'; });
    version_of_the_program = 2;
    for (int i = 0; i < 3; ++i)
    {
        auto client = server.client();
        BOOST_TEST(hear(client) == "1");
    }
    BOOST_TEST(version_of_the_program == 2);
}

BOOST_FIXTURE_TEST_CASE(a_child_is_the_fork_servers_and_active_until_it_ends, nothing_left)
{
    served_by_fork_server<> server(tells_its_process);
    {
        auto client = server.client();
        auto const child = std::stoi(hear(client));
        BOOST_TEST(std::stoi(hear(client)) == server.fork_server());
        BOOST_TEST(server->active_children() == std::vector{child});
    }
    BOOST_TEST(eventually([&] { return server->active_children().empty(); }));
}

BOOST_FIXTURE_TEST_CASE(a_child_has_its_connection_and_what_was_there_at_the_start, nothing_left)
{
    std::map<int, std::string> before;
    served_by_fork_server<> server(
        [&](stream& s) {
            auto now = descriptors_of();
            for (auto const& [number, what] : before)
                now.erase(number);
            s.wfile() << (now.size() == 1 && now.contains(s.native_handle()) ? "own"
                                                                             : as_lines(now))
                      << '\n';
            std::string line;
            s.read_line(line);
        },
        // All but the listener.
        [&](auto&) { before = descriptors_of(); });
    auto const listener = descriptors_of().at(server.server().fileno());
    auto one = server.client();
    BOOST_TEST(hear(one) == "own");
    auto other = server.client();
    BOOST_TEST(hear(other) == "own");

    auto of_fork_server = descriptors_of(server.fork_server());
    for (auto const& [number, what] : of_fork_server)
        BOOST_TEST(what != listener);
    for (auto const& [number, what] : before)
        of_fork_server.erase(number);
    // The way to the server, its pidfd, and the set of the children with theirs.
    BOOST_TEST(of_fork_server.size() == 5, as_lines(of_fork_server));
}

BOOST_FIXTURE_TEST_CASE(at_the_limit_the_next_ones_wait, nothing_left)
{
    served_by_fork_server<> server(tells_its_process, [](auto& s) { s.max_children = 2; });
    std::vector<client_stream> clients;
    for (int i = 0; i < 6; ++i)
        clients.push_back(server.client());
    for (int i = 0; i < 6; ++i)
    {
        BOOST_TEST(hear(clients.front()) != the_end);
        BOOST_TEST(server->active_children().size() <= 2);
        clients.erase(clients.begin());
    }
}

BOOST_FIXTURE_TEST_CASE(a_child_that_is_killed_is_reported_with_its_client, nothing_left)
{
    support::logged log;
    served_by_fork_server<> server(tells_its_process);
    auto client = server.client();
    auto const child = std::stoi(hear(client));
    ::kill(child, SIGKILL);
    BOOST_TEST(log.wait_for("error: child " + std::to_string(child) + " (" +
                            client.local_endpoint().str() + ") was killed by signal 9 (KILL)"));
    BOOST_TEST(server->active_children().empty());
    BOOST_TEST(log.count("error: ") == 1);
}

BOOST_FIXTURE_TEST_CASE(signals_of_the_group_are_for_the_children, nothing_left)
{
    served_by_fork_server<> server(tells_its_process);
    auto client = server.client();
    auto const child = std::stoi(hear(client));
    hear(client);
    for (int const signal : {SIGINT, SIGTERM, SIGHUP})
        ::kill(server.fork_server(), signal);
    ::kill(child, SIGINT);
    BOOST_TEST(is_silent(client));
    ::kill(child, SIGTERM);
    BOOST_TEST(hear(client) == the_end);
    BOOST_TEST(server.seen().error_seen.wait());
    BOOST_TEST(server.seen().last_error.read() ==
               make_error_code(boost::asio::error::operation_aborted).message());
    auto next = server.client();
    BOOST_TEST(hear(next) != the_end);
}

BOOST_FIXTURE_TEST_CASE(a_child_keeps_back_what_the_program_did_and_no_more, nothing_left)
{
    sigset_t just_it;
    sigset_t before;
    ::sigemptyset(&just_it);
    ::sigaddset(&just_it, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &just_it, &before);
    {
        served_by_fork_server<> server([](stream& s) {
            sigset_t now;
            ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
            for (int const signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGHUP})
                s.wfile() << ::sigismember(&now, signal);
        });
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        auto client = server.client();
        BOOST_TEST(hear(client) == "1000");
    }
}

BOOST_FIXTURE_TEST_CASE(an_abort_reaches_a_child, nothing_left)
{
    settings set;
    set.drain_timeout = 20ms;
    served_by_fork_server<> server(tells_its_process, set);
    auto client = server.client();
    hear(client);
    hear(client);
    auto const took = duration_of([&] { server.end(); });
    BOOST_TEST(took < patience / 2);
    BOOST_TEST(hear(client) == the_end);
    BOOST_TEST(server.seen().errors == 1);
}

BOOST_FIXTURE_TEST_CASE(children_that_do_not_end_are_killed_in_time, nothing_left)
{
    settings set;
    set.drain_timeout = 20ms;
    set.abort_timeout = 100ms;
    served_by_fork_server<> server(waits_for_ever, set);
    std::vector<client_stream> clients;
    std::vector<int> pids;
    for (int i = 0; i < 4; ++i)
    {
        clients.push_back(server.client());
        pids.push_back(std::stoi(hear(clients.back())));
        if (i % 2 == 0)
            ::kill(pids.back(), SIGSTOP);
    }
    auto const took = duration_of([&] { server.end(); });
    BOOST_TEST(took >= 100ms);
    BOOST_TEST(took < patience / 2);
    for (auto const pid : pids)
        BOOST_TEST(!is_alive(pid));
}

BOOST_FIXTURE_TEST_CASE(a_fork_server_that_is_stopped_keeps_nobody_from_ending, nothing_left)
{
    settings set;
    set.drain_timeout = 20ms;
    set.abort_timeout = 100ms;
    served_by_fork_server<> server(tells_its_process, set);
    auto client = server.client();
    auto const child = std::stoi(hear(client));
    ::kill(server.fork_server(), SIGSTOP);
    auto waits = server.client();
    auto const took = duration_of([&] { server.end(); });
    BOOST_TEST(took < patience / 2);
    BOOST_TEST(!is_alive(child));
    BOOST_TEST(!is_alive(server.fork_server()));
}

BOOST_FIXTURE_TEST_CASE(without_its_fork_server_the_loop_ends_and_the_children_go_on, nothing_left)
{
    version_of_the_program = 1;
    support::logged log;
    auto const before = children();
    socketserver::ready<forking> server("127.0.0.1:0", [](stream& s) {
        s.wfile() << ::getpid() << '\n' << std::flush;
        echo(s);
    });
    server.start_fork_server();
    auto const process = children().back();
    BOOST_TEST(children().size() == before.size() + 1);
    served_to_its_end loop(server);
    client_stream client(server.server_address());
    auto const child = std::stoi(hear(client));
    BOOST_TEST(eventually([&] { return server.active_children() == std::vector{child}; }));
    ::kill(process, SIGKILL);

    auto const said = "the fork server, process " + std::to_string(process);
    BOOST_TEST(loop.thrown() == said + ", is dead: no request can be served any more");
    BOOST_TEST(log.count("error: " + said + ", was killed by signal 9 (KILL); no request") == 1);
    BOOST_TEST(log.count("error: ") == 1);
    BOOST_CHECK_THROW(server.handle_request(), std::runtime_error);
    BOOST_CHECK_THROW(server.serve_forever(), std::runtime_error);
    BOOST_TEST(ask(client, "still there?") == "still there?");
    BOOST_TEST(server.active_children() == std::vector{child});
    client.leave();
    BOOST_TEST(eventually([&] {
        server.collect_children();
        return server.active_children().empty();
    }));
}

BOOST_FIXTURE_TEST_CASE(children_without_a_fork_server_are_aborted_and_killed_as_ever, nothing_left)
{
    support::logged log;
    int aborted = 0;
    int killed = 0;
    {
        socketserver::ready<forking> server("127.0.0.1:0", [](stream& s) {
            std::string line;
            s.wfile() << ::getpid() << '\n';
            s.read_line(line);
            if (line == "stay")
                waits_for_ever(s);
            s.read_line(line);
        });
        server.drain_timeout = 20ms;
        server.abort_timeout = 100ms;
        server.start_fork_server();
        auto const process = children().back();
        served_to_its_end loop(server);
        client_stream one(server.server_address());
        client_stream other(server.server_address());
        aborted = std::stoi(hear(one));
        killed = std::stoi(hear(other));
        BOOST_TEST(ask(other, "stay") == std::to_string(killed));
        ::kill(process, SIGKILL);
        BOOST_TEST(loop.thrown() != "");
    }
    BOOST_TEST(!is_alive(aborted));
    BOOST_TEST(!is_alive(killed));
    BOOST_TEST(log.count("child " + std::to_string(killed)) == 1);
    BOOST_TEST(log.count("child " + std::to_string(aborted)) == 0);
}

BOOST_FIXTURE_TEST_CASE(it_ends_when_the_program_dies_and_its_children_go_on, nothing_left)
{
    struct told
    {
        gate serves;
        note address;
        std::atomic<pid_t> fork_server{0};
    };
    shared<told> all;
    process whole([&] {
        served_by_fork_server<> server([](stream& s) {
            s.wfile() << ::getpid() << '\n' << std::flush;
            echo(s);
        });
        all->fork_server = server.fork_server();
        all->address.write(server.address().str());
        // It holds the server's end of their connection, too, and would keep its end from the other.
        process const other([&] {
            all->serves.open();
            ::pause();
        });
        ::pause();
    });
    BOOST_REQUIRE(all->serves.wait());
    client_stream client{endpoint(all->address.read())};
    hear(client);
    whole.kill(SIGKILL);
    BOOST_TEST(whole.wait() == -SIGKILL);
    BOOST_TEST(eventually([&] { return !is_alive(all->fork_server); }));
    BOOST_TEST(ask(client, "still there?") == "still there?");
}

BOOST_FIXTURE_TEST_CASE(a_request_that_gets_no_process_waits_until_there_is_one, nothing_left)
{
    process whole([] {
        socketserver::log_to_stderr();
        // The limit does not bind the superuser.
        if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0)
            throw std::runtime_error("setresuid");
        served_by_fork_server<> server(echo);
        auto const limit = [&](rlim_t n) {
            rlimit now{};
            ::prlimit(server.fork_server(), RLIMIT_NPROC, nullptr, &now);
            now.rlim_cur = std::min(n, now.rlim_max);
            if (::prlimit(server.fork_server(), RLIMIT_NPROC, &now, nullptr) != 0)
                throw std::runtime_error("prlimit");
        };
        limit(0);
        auto first = server.client();
        auto second = server.client();
        say(first, "now?");
        say(second, "now?");
        if (!is_silent(first) || !is_silent(second))
            throw std::runtime_error("served at once");
        limit(RLIM_INFINITY);
        if (hear(first) != "now?" || hear(second) != "now?")
            throw std::runtime_error("not served later");
    });
    BOOST_TEST(whole.wait() == 0, whole.errors());
    auto const line = "the fork server cannot have a process for now";
    auto const at = whole.errors().find(line);
    BOOST_TEST(at != std::string::npos, whole.errors());
    BOOST_TEST(whole.errors().find(line, at + 1) == std::string::npos, whole.errors());
}

BOOST_FIXTURE_TEST_CASE(handle_request_and_collect_children_do_without_a_loop, nothing_left)
{
    socketserver::ready<forking> server("127.0.0.1:0", tells_its_process);
    server.start_fork_server();
    for (int i = 0; i < 3; ++i)
    {
        {
            client_stream client(server.server_address());
            server.handle_request();
            auto const child = std::stoi(hear(client));
            BOOST_TEST(server.active_children() == std::vector{child});
            server.collect_children();
            BOOST_TEST(server.active_children() == std::vector{child});
        }
        BOOST_TEST(eventually([&] {
            server.collect_children();
            return server.active_children().empty();
        }));
    }
}

BOOST_FIXTURE_TEST_CASE(it_is_started_once_before_threads_and_before_serving, nothing_left)
{
    socketserver::ready<forking> server(socketserver::defer_activation, "127.0.0.1:0", echo);
    BOOST_CHECK_THROW(server.start_fork_server(), std::logic_error);
    server.activate();
    {
        std::latch done(1);
        std::thread other([&] { done.wait(); });
        BOOST_CHECK_THROW(server.start_fork_server(), std::logic_error);
        done.count_down();
        other.join();
    }
    server.start_fork_server();
    BOOST_CHECK_THROW(server.start_fork_server(), std::logic_error);
    server.server_close();

    socketserver::ready<forking> closed("127.0.0.1:0", echo);
    closed.server_close();
    BOOST_CHECK_THROW(closed.start_fork_server(), std::logic_error);

    served_as<forking> serves(echo);
    BOOST_CHECK_THROW(serves->start_fork_server(), std::logic_error);
}

BOOST_FIXTURE_TEST_CASE(a_stream_without_a_socket_is_refused, nothing_left)
{
    struct from_memory : forking
    {
        using forking::forking;

        std::optional<accepted> get_request() override
        {
            auto const taken = forking::get_request();
            return accepted{stream(), taken->client_address};
        }
    };
    served_by_fork_server<from_memory> server(echo);
    auto client = server.client();
    BOOST_TEST(hear(client) == the_end);
    BOOST_TEST(server.seen().error_seen.wait());
    BOOST_TEST(server.seen().last_error.read() ==
               "a stream without a socket cannot be sent to another process");
}

BOOST_FIXTURE_TEST_CASE(a_server_can_refuse_to_fork_beside_threads, nothing_left)
{
    socketserver::ready<forking> server("127.0.0.1:0", tells_its_process);
    server.require_single_thread = true;
    auto const is_of_it = support::names("start_fork_server()");
    {
        std::latch done(1);
        std::thread other([&] { done.wait(); });
        BOOST_CHECK_EXCEPTION(server.serve_forever(), std::logic_error, is_of_it);
        BOOST_CHECK_EXCEPTION(server.handle_request(), std::logic_error, is_of_it);
        done.count_down();
        other.join();
    }
    client_stream client(server.server_address());
    BOOST_TEST(eventually([] { return threads_of() <= 2; }));
    server.handle_request();
    BOOST_TEST(hear(client) != the_end);
}
