// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/forking_mixin.hpp>

#define BOOST_TEST_MODULE forking_mixin

#include "support/logged.hpp"
#include "support/matrix_cells.hpp"

#include <socketserver/log.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace matrix;
using socketserver::forking_mixin;
using socketserver::tcp_server;
using forking = forking_mixin<tcp_server>;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// Says which process runs it, and which descriptor of it is the client's, and waits.
void tells_its_process(stream& s)
{
    s.wfile() << ::getpid() << '\n' << s.native_handle() << '\n';
    std::string line;
    s.read_line(line);
}

bool has(std::map<int, std::string> const& descriptors, std::string const& what)
{
    return std::any_of(descriptors.begin(), descriptors.end(),
        [&](auto const& each) { return each.second.find(what) != std::string::npos; });
}

// Stays, when told to, between its look whether to stop and its wait.
class pausing : public forking
{
public:
    using forking::forking;

    std::atomic<bool> pauses{false};
    gate is_there;
    gate may_wait;

protected:
    socketserver::event_source* source() noexcept override
    {
        if (pauses.exchange(false))
        {
            is_there.open();
            may_wait.wait();
        }
        return forking::source();
    }
};

} // namespace

// The first test, as all of them fork beside the thread that runs the loop.
BOOST_FIXTURE_TEST_CASE(forking_beside_threads_is_reported_once, nothing_left)
{
    support::logged log;
    for (int i = 0; i < 2; ++i)
    {
        served_as<forking> server(tells_its_process);
        for (int j = 0; j < 2; ++j)
        {
            auto client = server.client();
            BOOST_TEST(hear(client) != the_end);
        }
    }
    BOOST_TEST(log.count("warning: forking beside other threads: a lock") == 1);
    BOOST_TEST(log.count("warning: ") == 1);
}

BOOST_FIXTURE_TEST_CASE(whoever_waits_for_children_takes_no_wake_from_the_loop, nothing_left)
{
    served_as<pausing> server(tells_its_process, [](auto& s) { s.drain_timeout = 1ms; });
    auto client = server.client();
    BOOST_TEST(hear(client) != the_end);
    server->pauses = true;
    // Wakes the loop.
    server->request_counters_log();
    BOOST_TEST(server->is_there.wait());
    std::thread end([&] { server->end_requests(); });
    // The child has been told to end: the time for the loop is over, and the wait has begun.
    BOOST_TEST(eventually([&] { return server->active_children().empty(); }));
    server->may_wait.open();
    server.join();
    end.join();
}

BOOST_FIXTURE_TEST_CASE(a_request_runs_in_a_child_of_its_own, nothing_left)
{
    served_as<forking> server(tells_its_process);
    auto one = server.client();
    auto other = server.client();
    auto const first = std::stoi(hear(one));
    auto const second = std::stoi(hear(other));
    BOOST_TEST(first != ::getpid());
    BOOST_TEST(first != second);
    // A child may answer before the fork has returned to the server.
    BOOST_TEST(eventually([&] {
        auto pids = server->active_children();
        std::sort(pids.begin(), pids.end());
        return pids == std::vector{std::min(first, second), std::max(first, second)};
    }));
}

BOOST_FIXTURE_TEST_CASE(what_a_child_changes_stays_in_the_child, nothing_left)
{
    int count = 0;
    served_as<forking> server([&](stream& s) { s.wfile() << ++count << '\n'; });
    for (int i = 0; i < 3; ++i)
    {
        auto client = server.client();
        BOOST_TEST(hear(client) == "1");
    }
    BOOST_TEST(count == 0);
}

BOOST_FIXTURE_TEST_CASE(a_child_has_neither_the_listener_nor_another_connection, nothing_left)
{
    auto const before = descriptors_of();
    served_as<forking> server(tells_its_process);
    auto const listener = descriptors_of().at(server.server().fileno());

    auto one = server.client();
    auto const first = std::stoi(hear(one));
    auto const of_first = descriptors_of(first);
    auto const connection = of_first.at(std::stoi(hear(one)));
    BOOST_TEST(!has(of_first, listener));

    auto other = server.client();
    auto const second = std::stoi(hear(other));
    auto const of_second = descriptors_of(second);
    BOOST_TEST(!has(of_second, listener));
    BOOST_TEST(!has(of_second, connection));
    // Nor what the first child is watched by.
    BOOST_TEST(!has(of_second, "pidfd"));

    // The server keeps no connection of either.
    BOOST_TEST(eventually([&] { return !has(descriptors_of(), connection); }));
}

BOOST_FIXTURE_TEST_CASE(only_its_own_children_are_reaped, nothing_left)
{
    served_as<forking> server(echo);
    pid_t const own = ::fork();
    if (own == 0)
        ::_exit(77);
    for (int i = 0; i < 10; ++i)
    {
        auto client = server.client();
        BOOST_TEST(ask(client, "hello") == "hello");
    }
    BOOST_TEST(eventually([&] { return server->active_children().empty(); }));
    int status = 0;
    BOOST_TEST(::waitpid(own, &status, 0) == own);
    BOOST_TEST(WIFEXITED(status));
    BOOST_TEST(WEXITSTATUS(status) == 77);
}

BOOST_FIXTURE_TEST_CASE(children_that_have_ended_are_reaped_at_once, nothing_left)
{
    // The loop has nothing else to do, and an hour until it looks by itself.
    served_as<forking> server(echo);
    for (int i = 0; i < 3; ++i)
    {
        auto client = server.client();
        BOOST_TEST(ask(client, "hello") == "hello");
    }
    BOOST_TEST(eventually([] { return children().empty(); }));
    BOOST_TEST(server->active_children().empty());
}

BOOST_FIXTURE_TEST_CASE(a_crash_is_reported_and_disturbs_nobody, nothing_left)
{
    process whole([] {
        socketserver::log_to_stderr();
        served_as<forking> server([](stream& s) {
            for (std::string line; s.read_line(line);)
            {
                if (line == "crash")
                    die_by(SIGSEGV);
                if (line == "abort")
                    die_by(SIGABRT);
                s.wfile() << line << ' ' << ::getpid() << '\n' << std::flush;
            }
        });
        auto const require = [](bool holds, char const* what) {
            if (!holds)
                throw std::runtime_error(what);
        };
        auto bystander = server.client();
        require(ask(bystander, "hello") != the_end, "no answer");
        for (std::string const how : {"crash", "abort"})
        {
            auto victim = server.client();
            auto const answer = ask(victim, "who");
            auto const line = "expected: child " + answer.substr(4) + " (" +
                              victim.local_endpoint().str() + ") was killed by signal " +
                              (how == "crash" ? "11 (SEGV)" : "6 (ABRT)");
            require(ask(victim, how) == the_end, "no crash");
            require(::write(STDERR_FILENO, (line + '\n').data(), line.size() + 1) > 0, "write");
        }
        require(ask(bystander, "hello") != the_end, "disturbed");
        auto next = server.client();
        require(ask(next, "hello") != the_end, "not served");
    });
    BOOST_TEST(whole.wait() == 0, whole.errors());
    std::istringstream lines(whole.errors());
    std::vector<std::string> all;
    for (std::string line; std::getline(lines, line);)
        all.push_back(line);
    int expected = 0;
    for (auto const& line : all)
        if (line.starts_with("expected: "))
        {
            ++expected;
            BOOST_TEST(std::count_if(all.begin(), all.end(),
                           [&](auto const& other) {
                               return other.ends_with(" error: " + line.substr(10));
                           }) == 1,
                whole.errors());
        }
    BOOST_TEST(expected == 2);
}

BOOST_FIXTURE_TEST_CASE(there_are_no_more_children_than_max_children, nothing_left)
{
    served_as<forking> server(tells_its_process, [](forking& s) { s.max_children = 2; });
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

BOOST_FIXTURE_TEST_CASE(a_child_that_does_not_end_is_killed, nothing_left)
{
    settings set;
    set.drain_timeout = 20ms;
    set.abort_timeout = 100ms;
    served_as<forking> server(
        [](stream& s) {
            s.wfile() << ::getpid() << '\n' << std::flush;
            for (;;)
                ::pause();
        },
        set);
    auto client = server.client();
    auto const child = std::stoi(hear(client));
    auto const took = duration_of([&] { server.end(); });
    BOOST_TEST(took >= 100ms);
    BOOST_TEST(took < patience / 2);
    BOOST_TEST(!is_alive(child));
}

BOOST_FIXTURE_TEST_CASE(a_child_has_signals_of_its_own, nothing_left)
{
    // What the program does about a signal is not for its children.
    static std::atomic<int> ran_in_process{0};
    auto const mark = [](int) { ran_in_process = ::getpid(); };
    auto const before_int = std::signal(SIGINT, mark);
    auto const before_term = std::signal(SIGTERM, mark);
    {
        served_as<forking> server(tells_its_process);
        auto client = server.client();
        auto const child = std::stoi(hear(client));
        hear(client);
        // A terminal's interrupt reaches every process of the group.
        ::kill(child, SIGINT);
        BOOST_TEST(is_silent(client));
        BOOST_TEST(is_alive(child));
        // This one ends its request.
        ::kill(child, SIGTERM);
        BOOST_TEST(hear(client) == the_end);
        BOOST_TEST(server.seen().error_seen.wait());
        BOOST_TEST(server.seen().last_error.read() ==
                   make_error_code(boost::asio::error::operation_aborted).message());
    }
    std::signal(SIGINT, before_int);
    std::signal(SIGTERM, before_term);
    BOOST_TEST(ran_in_process == 0);
}

BOOST_FIXTURE_TEST_CASE(a_child_leaves_without_the_programs_goodbyes, nothing_left)
{
    static shared<std::atomic<int>> goodbyes(0);
    process whole([] {
        std::atexit([] { ++*goodbyes; });
        served_as<forking> server(echo);
        auto client = server.client();
        if (ask(client, "hello") != "hello")
            throw std::runtime_error("no answer");
    });
    BOOST_TEST(whole.wait() == 0, whole.errors());
    BOOST_TEST(*goodbyes == 0);
}

BOOST_FIXTURE_TEST_CASE(a_request_that_gets_no_process_waits_until_there_is_one, nothing_left)
{
    process whole([] {
        support::logged log;
        served_as<forking> server(echo);
        // The limit does not bind the superuser.
        rlimit none{};
        ::getrlimit(RLIMIT_NPROC, &none);
        auto some = none;
        none.rlim_cur = 0;
        if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0)
            throw std::runtime_error("setresuid");
        ::setrlimit(RLIMIT_NPROC, &none);
        auto first = server.client();
        auto second = server.client();
        say(first, "now?");
        say(second, "now?");
        if (!eventually([&] { return log.count("cannot take requests for now") == 1; }))
            throw std::runtime_error("not said");
        ::setrlimit(RLIMIT_NPROC, &some);
        if (hear(first) != "now?" || hear(second) != "now?")
            throw std::runtime_error("not served later");
    });
    BOOST_TEST(whole.wait() == 0, whole.errors());
}

BOOST_FIXTURE_TEST_CASE(handle_request_and_collect_children_do_without_a_loop, nothing_left)
{
    socketserver::ready<forking> server("127.0.0.1:0", tells_its_process);
    {
        client_stream client(server.server_address());
        server.handle_request();
        BOOST_TEST(std::stoi(hear(client)) != ::getpid());
        BOOST_TEST(server.active_children().size() == 1);
        server.collect_children();
        BOOST_TEST(server.active_children().size() == 1);
    }
    BOOST_TEST(eventually([&] {
        server.collect_children();
        return server.active_children().empty();
    }));
}

BOOST_FIXTURE_TEST_CASE(a_program_that_ignores_its_children_is_served_all_the_same, nothing_left)
{
    auto const before = std::signal(SIGCHLD, SIG_IGN);
    {
        served_as<forking> server(echo);
        for (int i = 0; i < 3; ++i)
        {
            auto client = server.client();
            BOOST_TEST(ask(client, "hello") == "hello");
        }
        BOOST_TEST(eventually([&] { return server->active_children().empty(); }));
    }
    std::signal(SIGCHLD, before);
}
