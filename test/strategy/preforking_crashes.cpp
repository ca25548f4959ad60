// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What the log says of a worker that has crashed: its process, the signal, and the client.

#define BOOST_TEST_MODULE preforking_crashes

#include "support/logged.hpp"
#include "support/matrix_cells.hpp"

#include <socketserver/log.hpp>
#include <socketserver/strategy/coroutine_mixin.hpp>
#include <socketserver/strategy/forking_mixin.hpp>
#include <socketserver/strategy/preforking_mixin.hpp>
#include <socketserver/strategy/thread_pool_mixin.hpp>
#include <socketserver/strategy/threading_mixin.hpp>

#include <boost/mp11/list.hpp>
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

using namespace matrix;
using socketserver::coroutine_mixin;
using socketserver::forking_mixin;
using socketserver::preforking_mixin;
using socketserver::tcp_server;
using socketserver::thread_pool_mixin;
using socketserver::threading_mixin;
using preforking = preforking_mixin<tcp_server>;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

constexpr int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// As in a program: the test framework's own handlers would go on with the test, in the worker.
struct as_in_a_program : nothing_left
{
    as_in_a_program()
    {
        for (int const signal : crashes)
            std::signal(signal, SIG_DFL);
    }
};

template <class T>
[[gnu::noinline]] T hidden(T value)
{
    __asm__ __volatile__("" : "+r"(value) : : "memory");
    return value;
}

[[gnu::noinline]] int run_over(int n)
{
    char volatile frame[1000];
    frame[hidden(0)] = static_cast<char>(n);
    return n == 0 ? 0 : run_over(hidden(n - 1)) + frame[hidden(0)];
}

// Does what a line says, and else answers with the process.
void crash_as_told(stream& s)
{
    for (std::string line; s.read_line(line);)
    {
        if (line == "touch")
        {
            void* const page = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            *static_cast<char volatile*>(page) = 'x';
        }
        else if (line == "overflow")
            run_over(hidden(1'000'000));
        else if (line == "abort")
            std::abort();
        else if (line.starts_with("signal "))
            std::raise(std::stoi(line.substr(7)));
        s.wfile() << ::getpid() << '\n' << std::flush;
    }
}

auto const one_worker = [](auto& server) { server.workers = 1; };

// What is said when a client brings its worker down.
template <class Server>
void check_report(
    served_as<Server>& server, support::logged& log, std::string const& how, int signal)
{
    auto bystander = server.client();
    auto client = server.client();
    auto const pid = ask(client, "who");
    auto const whose = client.local_endpoint().str();
    BOOST_TEST(ask(client, how) == the_end);
    auto const expected = "error: worker " + pid + " (" + whose + ") was killed by signal " +
                          std::to_string(signal) + " (" + ::sigabbrev_np(signal) +
                          "); it is replaced";
    BOOST_TEST(log.wait_for(expected), expected);
    auto next = server.client();
    BOOST_TEST(ask(next, "who") != pid);
}

} // namespace

BOOST_FIXTURE_TEST_CASE(every_signal_of_a_crash_is_reported, as_in_a_program)
{
    support::logged log;
    served_as<preforking_mixin<threading_mixin<tcp_server>>> server(crash_as_told, one_worker);
    for (int const signal : crashes)
        check_report(server, log, "signal " + std::to_string(signal), signal);
    check_report(server, log, "abort", SIGABRT);
    check_report(server, log, "touch", SIGSEGV);
}

using strategies_within = boost::mp11::mp_list<threading_mixin<tcp_server>,
    thread_pool_mixin<tcp_server>, coroutine_mixin<tcp_server>>;

BOOST_AUTO_TEST_CASE_TEMPLATE(the_client_is_the_one_whose_request_it_was, Server, strategies_within)
{
    as_in_a_program left;
    {
        support::logged log;
        served_as<preforking_mixin<Server>> server(crash_as_told, one_worker);
        check_report(server, log, "touch", SIGSEGV);
        check_report(server, log, "overflow", SIGSEGV);
    }
    left.teardown();
}

BOOST_FIXTURE_TEST_CASE(a_synchronous_worker_reports_too, as_in_a_program)
{
    support::logged log;
    served_as<preforking> server(crash_as_told, [](auto& s) { s.workers = 3; });
    check_report(server, log, "touch", SIGSEGV);
    check_report(server, log, "overflow", SIGSEGV);
}

BOOST_FIXTURE_TEST_CASE(who_is_killed_has_no_time_to_say_whose_request_it_was, as_in_a_program)
{
    support::logged log;
    served_as<preforking> server(crash_as_told, one_worker);
    for (int const signal : {SIGKILL, SIGSEGV})
    {
        auto client = server.client();
        auto const pid = ask(client, "who");
        // What another process sends is no crash.
        ::kill(std::stoi(pid), signal);
        BOOST_TEST(log.wait_for("error: worker " + pid + " (client unknown) was killed by signal " +
                                std::to_string(signal) + " (" + ::sigabbrev_np(signal) + ")"));
    }
}

BOOST_FIXTURE_TEST_CASE(a_crash_in_a_hook_has_no_client, as_in_a_program)
{
    class crashes_once : public tcp_server
    {
    public:
        using tcp_server::tcp_server;

        std::optional<accepted> get_request() override
        {
            if (shall_crash->exchange(false))
                std::raise(SIGILL);
            return tcp_server::get_request();
        }

        std::atomic<bool>* shall_crash = nullptr;
    };

    support::logged log;
    shared<std::atomic<bool>> shall_crash(true);
    served_as<preforking_mixin<crashes_once>> server(crash_as_told, [&](auto& s) {
        s.workers = 1;
        s.shall_crash = &*shall_crash;
    });
    auto client = server.client();
    BOOST_TEST(ask(client, "who") != the_end);
    BOOST_TEST(log.wait_for(" (no client) was killed by signal 4 (ILL); it is replaced"));
}

BOOST_FIXTURE_TEST_CASE(what_the_program_does_about_a_crash_is_done_as_before, as_in_a_program)
{
    static shared<gate> handled;
    std::signal(SIGSEGV, [](int) {
        handled->open();
        ::_exit(42);
    });
    support::logged log;
    served_as<preforking_mixin<threading_mixin<tcp_server>>> server(crash_as_told, one_worker);
    check_report(server, log, "touch", SIGSEGV);
    BOOST_TEST(handled->wait());
    check_report(server, log, "signal 11", SIGSEGV);
    BOOST_TEST(handled->wait());
}

BOOST_FIXTURE_TEST_CASE(the_child_of_a_worker_is_told_of_by_it, as_in_a_program)
{
    process whole([] {
        socketserver::log_to_stderr();
        served_as<preforking_mixin<forking_mixin<tcp_server>>> server(crash_as_told, one_worker);
        auto client = server.client();
        auto const pid = ask(client, "who");
        auto const expected =
            "child " + pid + " (" + client.local_endpoint().str() + ") was killed by signal 11";
        if (ask(client, "touch") != the_end)
            throw std::runtime_error("no crash");
        // By the worker's log, which is this process's standard error.
        std::string const line = "expected: " + expected + '\n';
        if (::write(STDERR_FILENO, line.data(), line.size()) < 0)
            throw std::runtime_error("write");
        auto next = server.client();
        if (ask(next, "who") == the_end)
            throw std::runtime_error("not served");
    });
    BOOST_TEST(whole.wait() == 0, whole.errors());
    auto const& text = whole.errors();
    auto const at = text.find("expected: ");
    BOOST_REQUIRE(at != text.npos);
    auto const expected = text.substr(at + 10, text.find('\n', at) - at - 10);
    BOOST_TEST(text.find(" error: " + expected) != text.npos, text);
    BOOST_TEST(text.find("worker ") == text.npos, text);
}
