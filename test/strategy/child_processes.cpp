// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/child_processes.hpp>

#define BOOST_TEST_MODULE child_processes

#include "support/logged.hpp"
#include "support/matrix_process.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <poll.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace matrix;
using socketserver::child_processes;
using socketserver::endpoint;
using socketserver::request_place;

namespace {

// What ended, by what it was for.
struct watched : nothing_left
{
    watched()
    {
        children.on_end = [this](child_processes::ended const& e) { ended[e.purpose] = e; };
    }

    // Forks a child that runs a function and leaves.
    template <class Function>
    int fork(std::string purpose, Function const& f)
    {
        int const pid = children.fork(std::move(purpose));
        if (pid != 0)
            return pid;
        f();
        child_processes::leave(0);
    }

    bool run_until_none()
    {
        auto const end = std::chrono::steady_clock::now() + patience;
        while (children.size() != 0 && std::chrono::steady_clock::now() < end)
        {
            pollfd fd{children.descriptor(), POLLIN, 0};
            ::poll(&fd, 1, 1000);
            children.run();
        }
        return children.size() == 0;
    }

    void teardown()
    {
        children.kill();
        left.reset();
        nothing_left::teardown();
    }

    std::map<std::string, child_processes::ended> ended;
    std::optional<child_processes> left{std::in_place};
    child_processes& children = *left;
};

int open_pidfds()
{
    int n = 0;
    for (auto const& [number, what] : descriptors_of())
        n += what.find("pidfd") != std::string::npos;
    return n;
}

[[noreturn]] void sleep_for_ever()
{
    for (;;)
        ::pause();
}

} // namespace

BOOST_FIXTURE_TEST_CASE(threads_that_begin_after_the_first_fork_are_reported, watched)
{
    // In a process that has forked before, and has said nothing yet.
    fork("program", [] {
        support::logged log;
        child_processes of_program;
        auto const fork = [&] {
            if (of_program.fork("") == 0)
                child_processes::leave(0);
            return log.count("forking beside other threads");
        };
        auto const alone = fork();
        gate may_end;
        std::thread other([&] { may_end.wait(); });
        auto const beside = fork();
        may_end.open();
        other.join();
        of_program.kill();
        child_processes::leave(alone == 0 && beside == 1 ? 0 : 1);
    });
    BOOST_TEST(run_until_none());
    BOOST_TEST(ended["program"].status == 0);
    BOOST_TEST(ended["program"].signal == 0);
}

BOOST_FIXTURE_TEST_CASE(one_that_was_reaped_does_not_keep_the_loop_awake, watched)
{
    shared<gate> may_end;
    fork("first", [&] { may_end->wait(); });
    // Has what the parent has, the descriptor of the first included.
    int const second = fork("second", sleep_for_ever);
    may_end->open();
    BOOST_REQUIRE(eventually([&] {
        children.run();
        return ended.contains("first");
    }));
    pollfd fd{children.descriptor(), POLLIN, 0};
    BOOST_TEST(::poll(&fd, 1, 0) == 0);
    children.signal(second, SIGKILL);
    BOOST_TEST(run_until_none());
}

BOOST_FIXTURE_TEST_CASE(the_log_has_what_ended_badly, watched)
{
    support::logged log;
    children.on_end = nullptr;
    int const well = fork("127.0.0.1:1", [] {});
    int const badly = fork("127.0.0.1:2", [] { child_processes::leave(3); });
    int const killed = fork("127.0.0.1:3", [] { die_by(SIGBUS); });
    int const nameless = fork("", [] { child_processes::leave(4); });
    BOOST_TEST(run_until_none());
    BOOST_TEST(log.count("child " + std::to_string(well)) == 0);
    BOOST_TEST(log.count("warning: child " + std::to_string(badly) +
                         " (127.0.0.1:2) has ended with status 3") == 1);
    BOOST_TEST(log.count("error: child " + std::to_string(killed) +
                         " (127.0.0.1:3) was killed by signal 7 (BUS)") == 1);
    BOOST_TEST(
        log.count("warning: child " + std::to_string(nameless) + " has ended with status 4") == 1);
}

BOOST_FIXTURE_TEST_CASE(there_is_nothing_to_wait_for_at_first, watched)
{
    BOOST_TEST(children.size() == 0);
    BOOST_TEST(children.pids().empty());
    BOOST_TEST(children.descriptor() == -1);
    BOOST_CHECK(children.next_timer() == std::chrono::steady_clock::time_point::max());
    children.run();
}

BOOST_FIXTURE_TEST_CASE(it_tells_how_each_child_ended, watched)
{
    auto const before = std::chrono::steady_clock::now();
    auto const zero = fork("zero", [] {});
    auto const three = fork("three", [] { child_processes::leave(3); });
    auto const killed = fork("killed", [] { die_by(SIGKILL); });
    BOOST_TEST(children.size() == 3);
    BOOST_REQUIRE(run_until_none());
    BOOST_REQUIRE(ended.size() == 3);
    BOOST_TEST(ended["zero"].pid == zero);
    BOOST_TEST(ended["zero"].status == 0);
    BOOST_TEST(ended["zero"].signal == 0);
    BOOST_CHECK(ended["zero"].since >= before);
    BOOST_TEST(ended["three"].pid == three);
    BOOST_TEST(ended["three"].status == 3);
    BOOST_TEST(ended["three"].signal == 0);
    BOOST_TEST(ended["killed"].pid == killed);
    BOOST_TEST(ended["killed"].status == 0);
    BOOST_TEST(ended["killed"].signal == SIGKILL);
}

BOOST_FIXTURE_TEST_CASE(the_descriptor_is_readable_when_a_child_has_ended, watched)
{
    auto const pid = fork("a child", sleep_for_ever);
    pollfd fd{children.descriptor(), POLLIN, 0};
    BOOST_TEST(::poll(&fd, 1, 0) == 0);
    children.run();
    BOOST_TEST(children.size() == 1);
    ::kill(pid, SIGKILL);
    BOOST_TEST(::poll(&fd, 1, 20'000) == 1);
    children.run();
    BOOST_TEST(children.size() == 0);
    BOOST_TEST(::poll(&fd, 1, 0) == 0);
}

BOOST_FIXTURE_TEST_CASE(requests_that_end_soon_are_reaped_together, watched)
{
    shared<gate> may_end;
    auto const before = std::chrono::steady_clock::now();
    endpoint const client("192.0.2.1:1");
    for (int i = 0; i < 3; ++i)
    {
        request_place place;
        if (children.fork(client, place) == 0)
            child_processes::leave(0);
    }
    request_place place;
    if (children.fork(client, place) == 0)
    {
        may_end->wait();
        child_processes::leave(0);
    }
    BOOST_CHECK(children.next_timer() >= before + std::chrono::milliseconds(10));
    BOOST_CHECK(
        children.next_timer() <= std::chrono::steady_clock::now() + std::chrono::milliseconds(10));
    BOOST_TEST(open_pidfds() == 0);
    BOOST_TEST(eventually([this] {
        children.run();
        return children.size() == 1;
    }));
    // The one that takes longer.
    BOOST_TEST(eventually([this] {
        children.run();
        return open_pidfds() == 1;
    }));
    BOOST_CHECK(children.next_timer() == std::chrono::steady_clock::time_point::max());
    may_end->open();
    BOOST_TEST(run_until_none());
}

BOOST_FIXTURE_TEST_CASE(whoever_waits_for_one_hears_of_its_end_at_once, watched)
{
    request_place place;
    if (children.fork(endpoint("192.0.2.1:1"), place) == 0)
        child_processes::leave(0);
    children.watch_all();
    pollfd fd{children.descriptor(), POLLIN, 0};
    BOOST_TEST(::poll(&fd, 1, 20'000) == 1);
    children.watch_all();
    BOOST_TEST(open_pidfds() == 1);
    children.run();
    BOOST_TEST(children.size() == 0);
    BOOST_TEST(open_pidfds() == 0);
}

BOOST_FIXTURE_TEST_CASE(its_descriptors_are_close_on_exec, watched)
{
    auto const before = descriptors_of();
    fork("a child", sleep_for_ever);
    int added = 0;
    for (auto const& [number, what] : descriptors_of())
        if (!before.contains(number))
        {
            ++added;
            BOOST_TEST((::fcntl(number, F_GETFD) & FD_CLOEXEC) != 0, what);
        }
    BOOST_TEST(added == 2);
}

BOOST_FIXTURE_TEST_CASE(a_signal_reaches_every_child, watched)
{
    shared<gate> ready;
    for (auto const* name : {"one", "two"})
        fork(name, [&] {
            // All signals are blocked so far.
            std::signal(SIGTERM, [](int) { child_processes::leave(9); });
            sigset_t none;
            ::sigemptyset(&none);
            ready->open();
            for (;;)
                ::sigsuspend(&none);
        });
    BOOST_REQUIRE(ready->wait());
    BOOST_REQUIRE(ready->wait());
    children.signal(child_processes::terminate);
    BOOST_REQUIRE(run_until_none());
    BOOST_TEST(ended["one"].status == 9);
    BOOST_TEST(ended["two"].status == 9);
}

BOOST_FIXTURE_TEST_CASE(signals_are_blocked_in_a_new_child, watched)
{
    fork("a child", [] {
        sigset_t mask;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        bool const both = ::sigismember(&mask, SIGTERM) && ::sigismember(&mask, SIGINT);
        child_processes::leave(both ? 0 : 1);
    });
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    BOOST_TEST(::sigismember(&mask, SIGTERM) == 0);
    BOOST_REQUIRE(run_until_none());
    BOOST_TEST(ended["a child"].status == 0);
}

BOOST_FIXTURE_TEST_CASE(kill_waits_until_they_are_gone, watched)
{
    auto const one = fork("one", sleep_for_ever);
    auto const two = fork("two", sleep_for_ever);
    children.kill();
    BOOST_TEST(children.size() == 0);
    BOOST_TEST(!is_alive(one));
    BOOST_TEST(!is_alive(two));
    BOOST_TEST(ended["one"].signal == SIGKILL);
}

BOOST_FIXTURE_TEST_CASE(the_programs_own_children_are_left_to_it, watched)
{
    pid_t const own = ::fork();
    if (own == 0)
        ::_exit(77);
    siginfo_t info{};
    BOOST_REQUIRE(::waitid(P_PID, static_cast<id_t>(own), &info, WEXITED | WNOWAIT) == 0);
    fork("ours", [] {});
    BOOST_REQUIRE(run_until_none());
    int status = 0;
    BOOST_TEST(::waitpid(own, &status, 0) == own);
    BOOST_TEST(WEXITSTATUS(status) == 77);
    BOOST_TEST(ended.size() == 1);
}

BOOST_FIXTURE_TEST_CASE(a_forked_process_begins_without_children, watched)
{
    fork("one", sleep_for_ever);
    fork("two", [this] {
        children.after_fork();
        bool const none = children.size() == 0 && children.descriptor() == -1;
        // What is not there cannot be killed by mistake.
        children.signal(SIGKILL);
        child_processes::leave(none && open_pidfds() == 0 ? 0 : 1);
    });
    BOOST_TEST(eventually([&] {
        children.run();
        return children.size() == 1;
    }));
    BOOST_TEST(ended["two"].status == 0);
    BOOST_TEST(!ended.contains("one"));
}

BOOST_FIXTURE_TEST_CASE(children_are_reaped_without_a_descriptor_for_them, watched)
{
    process whole([] {
        child_processes children;
        int status = -1;
        children.on_end = [&](child_processes::ended const& e) { status = e.status; };
        if (children.fork("the first") == 0)
            child_processes::leave(1);
        // The second finds no descriptor left.
        int last = -1;
        for (int fd; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;)
            last = fd;
        (void)last;
        if (children.fork("the second") == 0)
            child_processes::leave(5);
        bool const looks = children.next_timer() != std::chrono::steady_clock::time_point::max();
        bool const gone = eventually([&] {
            children.run();
            return children.size() == 0;
        });
        if (!looks || !gone || status != 5)
            throw std::runtime_error("not reaped");
    });
    BOOST_TEST(whole.wait() == 0, whole.errors());
}
