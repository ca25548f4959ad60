// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/process_set.hpp>

#define BOOST_TEST_MODULE process_set

#include "support/matrix_process.hpp"

#include <socketserver/strategy/child_processes.hpp>

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace matrix;
using socketserver::child_processes;
using socketserver::process_set;

namespace {

// Two processes that wait for a signal.
struct two_processes : nothing_left
{
    two_processes()
    {
        for (int i = 0; i < 2; ++i)
            if (left->fork("") == 0)
            {
                sigset_t all;
                ::sigfillset(&all);
                ::pthread_sigmask(SIG_UNBLOCK, &all, nullptr);
                for (;;)
                    ::pause();
            }
    }

    void teardown()
    {
        left.reset();
        nothing_left::teardown();
    }

    std::optional<child_processes> left{std::in_place};
    process_set& set = *left;
};

} // namespace

BOOST_FIXTURE_TEST_CASE(knows_its_processes_until_they_are_collected, two_processes)
{
    BOOST_TEST(set.size() == 2u);
    auto const pids = set.pids();
    BOOST_REQUIRE(pids.size() == 2u);
    BOOST_TEST(::kill(pids.front(), SIGKILL) == 0);
    pollfd fd{set.descriptor(), POLLIN, 0};
    BOOST_TEST(::poll(&fd, 1, 20'000) == 1);
    set.collect();
    BOOST_TEST(set.pids() == std::vector(1, pids.back()), boost::test_tools::per_element());
    set.kill();
}

BOOST_FIXTURE_TEST_CASE(signals_all_of_them, two_processes)
{
    set.signal(SIGTERM);
    BOOST_TEST(eventually([&] {
        set.collect();
        return set.size() == 0;
    }));
}

BOOST_FIXTURE_TEST_CASE(kills_all_of_them_and_waits, two_processes)
{
    set.kill();
    BOOST_TEST(set.size() == 0u);
    BOOST_TEST(set.pids().empty());
}

BOOST_FIXTURE_TEST_CASE(a_forked_process_has_none, two_processes)
{
    process child([&] {
        set.after_fork();
        if (set.size() != 0)
            throw std::runtime_error("it takes the parent's for its own");
    });
    BOOST_TEST(child.wait() == 0, child.errors());
    BOOST_TEST(set.size() == 2u);
    set.kill();
}
