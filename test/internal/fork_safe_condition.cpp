// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "fork_safe_condition.hpp"

#define BOOST_TEST_MODULE fork_safe_condition
#include <boost/test/unit_test.hpp>

#include "support/sanitizer.hpp"

#include <chrono>
#include <mutex>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using socketserver::fork_safe_condition;

namespace {

// A mutex, a condition, and what it is about.
struct turns
{
    void next()
    {
        std::lock_guard const lock(mutex);
        ++turn;
        changed.notify_all();
    }

    void wait_for(int n)
    {
        std::unique_lock lock(mutex);
        ++waiting;
        changed.wait(lock, [&] { return turn >= n; });
        --waiting;
    }

    // Until somebody waits, and no longer holds the mutex.
    void await_waiter()
    {
        for (;; std::this_thread::yield())
        {
            std::lock_guard const lock(mutex);
            if (waiting != 0)
                return;
        }
    }

    std::mutex mutex;
    fork_safe_condition changed;
    int turn = 0;
    int waiting = 0;
};

// Two threads take turns, as they would in a new process.
void take_turns(turns& t)
{
    int const first = t.turn;
    std::thread other([&] {
        for (int i = 1; i <= 100; i += 2)
        {
            t.wait_for(first + i);
            t.next();
        }
    });
    for (int i = 2; i <= 100; i += 2)
    {
        t.next();
        t.wait_for(first + i);
    }
    other.join();
}

} // namespace

BOOST_AUTO_TEST_CASE(works_in_a_child_that_does_not_have_its_waiters)
{
    turns t;
    std::jthread const waiter([&] { t.wait_for(1); });
    t.await_waiter();
    pid_t const child = ::fork();
    if (child == 0)
    {
        // What does not end is ended.
        ::alarm(20);
        t.waiting = 0;
        t.changed.after_fork();
#if defined(SOCKETSERVER_TEST_TSAN)
        // It knows no new threads where there were others before the fork.
        t.next();
#else
        take_turns(t);
#endif
        ::_exit(0);
    }
    int status = -1;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST(status == 0);
    t.next();
}

BOOST_AUTO_TEST_CASE(works_in_a_child_if_nobody_waited)
{
    turns t;
    take_turns(t);
    pid_t const child = ::fork();
    if (child == 0)
    {
        ::alarm(20);
        t.changed.after_fork();
        take_turns(t);
        ::_exit(0);
    }
    int status = -1;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(waits_until_a_time)
{
    turns t;
    std::unique_lock lock(t.mutex);
    BOOST_TEST(!t.changed.wait_until(lock, std::chrono::steady_clock::now(), [] { return false; }));
    BOOST_TEST(t.changed.wait_until(lock, std::chrono::steady_clock::now(), [] { return true; }));
}
