// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// How descriptors come into a set, leave it, and whose they are; and the wait with others.

#include "strategy/readiness_set.hpp"

#define BOOST_TEST_MODULE readiness_set_members

#include "support/matrix_process.hpp"
#include "support/watched_pair.hpp"

#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

using namespace socketserver;
using namespace support;
using clk = std::chrono::steady_clock;
using namespace std::chrono_literals;
using direction = wait_direction;

BOOST_AUTO_TEST_CASE_TEMPLATE(says_nothing_of_what_was_forgotten, Set, readiness_sets)
{
    opened<Set> set;
    watched_pair p(set);
    p.hear();
    BOOST_TEST(p.watch(direction::receive));
    BOOST_TEST(p.known.is_watched());
    p.say("hello");
    set.unwatch(p.known, p.ends[0]);
    set.forget(p.known);
    BOOST_TEST(!p.known.is_watched());
    BOOST_TEST(finds_nothing(set));
    BOOST_TEST(!p.known.may(direction::receive));
    // It may be watched again, by this set or by another.
    opened<Set> other;
    BOOST_TEST(other.watch(p.known, p.ends[0], direction::receive));
    BOOST_TEST(p.is_in(other.wait(for_ever)));
    other.unwatch(p.known, p.ends[0]);
    other.forget(p.known);
    BOOST_TEST(p.watch(direction::receive));
    BOOST_TEST(p.is_in(set.wait(for_ever)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(
    takes_no_late_event_for_one_of_the_next_descriptor, Set, readiness_sets)
{
    opened<Set> set;
    watched_pair first(set);
    first.hear();
    BOOST_TEST(first.watch(direction::receive));
    // Somebody else has it as well, so that it does not leave the system's set when it is closed.
    int const number = first.ends[0];
    int const other = ::dup(number);
    first.close();
    first.say("late");

    // It gets the number, and the slot.
    watched_pair next(set);
    if (next.ends[0] != number)
    {
        BOOST_TEST_REQUIRE(::dup2(next.ends[0], number) == number);
        ::close(std::exchange(next.ends[0], number));
    }
    next.hear();
    BOOST_TEST(next.watch(direction::receive));
    first.say("later");
    BOOST_TEST(finds_nothing(set));
    BOOST_TEST(!next.known.may(direction::receive));
    next.say("mine");
    BOOST_TEST(next.is_in(set.wait(for_ever)));
    BOOST_TEST(next.hear() == "mine");
    ::close(other);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_descriptor_that_cannot_be_watched_is_an_error, Set, readiness_sets)
{
    opened<Set> set;
    watched_pair p(set);
    ::close(p.ends[0]);
    BOOST_TEST(!p.watch(direction::receive));
    BOOST_TEST(errno == EBADF);
    BOOST_TEST(!p.known.is_watched());
    p.ends[0] = -1;
}

BOOST_AUTO_TEST_CASE_TEMPLATE(leaves_a_descriptor_open_and_blocking, Set, readiness_sets)
{
    int left;
    {
        Set set;
        set.open();
        watched_pair p(set);
        BOOST_TEST(p.watch(direction::receive));
        BOOST_TEST(p.watch(direction::send));
        set.wait(at_once);
        BOOST_TEST((::fcntl(p.ends[0], F_GETFL) & O_NONBLOCK) == 0);
        left = ::dup(p.ends[0]);
    }
    BOOST_TEST((::fcntl(left, F_GETFL) & O_NONBLOCK) == 0);
    ::close(left);

    int ends[2];
    BOOST_TEST_REQUIRE(
        ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    readiness known;
    {
        opened<Set> set;
        BOOST_TEST(set.watch(known, ends[0], direction::receive));
        int n = 0;
        set.slots().for_each([&](readiness& r) { n += &r == &known; });
        BOOST_TEST(n == 1);
    }
    // The set is gone, and the descriptor is whose it was; it may be watched by another.
    BOOST_TEST((::fcntl(ends[0], F_GETFL) & O_NONBLOCK) != 0);
    BOOST_TEST(!known.is_watched());
    known.readable = false;
    BOOST_TEST(::write(ends[1], "x", 1) == 1);
    opened<Set> next;
    BOOST_TEST(next.watch(known, ends[0], direction::receive));
    next.wait(for_ever);
    BOOST_TEST(known.may(direction::receive));
    next.forget(known);
    ::close(ends[0]);
    ::close(ends[1]);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_forked_process_does_not_touch_the_parents_set, Set, readiness_sets)
{
    Set set;
    set.allow_wake();
    watched_pair p(set);
    p.hear();
    BOOST_TEST(p.watch(direction::receive));
    auto const opened_here = set.descriptor();
    matrix::process child([&] {
        set.leave();
        if (opened_here >= 0 && ::fcntl(opened_here, F_GETFD) >= 0)
            throw std::runtime_error("it has the parent's set");
        if (set.descriptor() != -1 || !is_empty(set.wait(at_once)))
            throw std::runtime_error("it waits in the parent's set");
        // What a stream does that is closed, or given away.
        set.unwatch(p.known, p.ends[0]);
        set.forget(p.known);
        ::close(p.ends[0]);
    });
    BOOST_TEST(child.wait() == 0, child.errors());
    p.say("hello");
    BOOST_TEST(p.is_in(set.wait(for_ever)));
    set.wake();
    BOOST_TEST(set.wait(for_ever).woken);
}

BOOST_AUTO_TEST_CASE(one_has_a_descriptor_that_is_readable_when_there_is_something_to_find)
{
    opened<epoll_readiness_set> set;
    watched_pair p(set);
    p.hear();
    BOOST_TEST(p.watch(direction::receive));
    pollfd fd{set.descriptor(), POLLIN, 0};
    BOOST_TEST(::poll(&fd, 1, 0) == 0);
    p.say("hello");
    BOOST_TEST(::poll(&fd, 1, 10000) == 1);
    readiness_events found;
    BOOST_TEST(!set.wait_with({}, for_ever, found));
}

BOOST_AUTO_TEST_CASE(the_other_waits_for_others_descriptors_as_well)
{
    asio_readiness_set set;
    set.allow_wake();
    BOOST_TEST(set.descriptor() == -1);
    watched_pair p(set);
    p.hear();
    BOOST_TEST(p.watch(direction::receive));
    int ends[2];
    BOOST_TEST_REQUIRE(
        ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    int const others[] = {-1, ends[0]};

    readiness_events none;
    auto const until = clk::now() + 20ms;
    BOOST_TEST(set.wait_with(others, until, none));
    BOOST_CHECK(clk::now() >= until);
    BOOST_TEST(is_empty(none));

    // They end the wait, and are theirs; for as long as they are readable.
    BOOST_TEST(::write(ends[1], "x", 1) == 1);
    for (int i = 0; i < 3; ++i)
    {
        BOOST_TEST(set.wait_with(others, for_ever, none));
        BOOST_TEST(is_empty(none));
    }
    char byte;
    BOOST_TEST(::read(ends[0], &byte, 1) == 1);

    p.say("hello");
    readiness_events found;
    BOOST_TEST(set.wait_with(others, for_ever, found));
    BOOST_TEST(p.is_in(found));
    p.hear();
    set.wake();
    readiness_events woken;
    BOOST_TEST(set.wait_with(others, for_ever, woken));
    BOOST_TEST(woken.woken);

    // What was asked for before ends no later wait.
    auto const later = clk::now() + 20ms;
    BOOST_TEST(set.wait_with(others, later, none));
    BOOST_CHECK(clk::now() >= later);

    ::close(ends[0]);
    BOOST_CHECK_EXCEPTION(set.wait_with(others, for_ever, none), boost::system::system_error,
        [](auto const& e) { return e.code() == boost::system::errc::bad_file_descriptor; });
    // Its number is another's now.
    BOOST_TEST_REQUIRE(::dup2(ends[1], ends[0]) == ends[0]);
    ::close(ends[1]);
    BOOST_TEST(set.wait_with(others, for_ever, none));
    ::close(ends[0]);
}
