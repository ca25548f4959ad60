// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What is found by a wait, and what ends it.

#include "strategy/readiness_set.hpp"

#define BOOST_TEST_MODULE readiness_set

#include "support/beside.hpp"
#include "support/lasts.hpp"
#include "support/watched_pair.hpp"

#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <vector>

using namespace socketserver;
using namespace support;
using clk = std::chrono::steady_clock;
using direction = wait_direction;

BOOST_AUTO_TEST_CASE_TEMPLATE(finds_nothing_before_it_is_opened, Set, readiness_sets)
{
    Set set;
    BOOST_TEST(set.descriptor() == -1);
    BOOST_TEST(is_empty(set.wait(at_once)));
    readiness_events found;
    BOOST_TEST(!set.wait_with({}, at_once, found));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(throws_where_there_is_no_descriptor_for_it, Set, readiness_sets)
{
    Set set;
    {
        rlimit before;
        ::getrlimit(RLIMIT_NOFILE, &before);
        rlimit const none{0, before.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &none);
        auto const is_used_up = [](boost::system::system_error const& e) {
            return e.code() == boost::system::errc::too_many_files_open;
        };
        BOOST_CHECK_EXCEPTION(set.open(), boost::system::system_error, is_used_up);
        BOOST_CHECK_EXCEPTION(set.allow_wake(), boost::system::system_error, is_used_up);
        ::setrlimit(RLIMIT_NOFILE, &before);
    }
    set.allow_wake();
    set.wake();
    BOOST_TEST(set.wait(for_ever).woken);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(says_which_descriptor_has_something_to_receive, Set, readiness_sets)
{
    opened<Set> set;
    watched_pair one(set);
    watched_pair other(set);
    one.hear();
    other.hear();
    BOOST_TEST(one.watch(direction::receive));
    BOOST_TEST(other.watch(direction::receive));
    BOOST_TEST(finds_nothing(set));
    other.say("hello");
    auto const found = set.wait(for_ever);
    BOOST_TEST(other.is_in(found));
    BOOST_TEST(!one.is_in(found));
    BOOST_TEST(other.known.may(direction::receive));
    BOOST_TEST(!one.known.may(direction::receive));
    BOOST_TEST(other.hear() == "hello");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(finds_what_has_come_before_it_was_watched, Set, readiness_sets)
{
    opened<Set> set;
    watched_pair p(set);
    p.hear();
    p.say("early");
    BOOST_TEST(p.watch(direction::receive));
    BOOST_TEST(p.is_in(set.wait(for_ever)));
    BOOST_TEST(p.known.may(direction::receive));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(loses_nothing_that_comes_between_two_waits, Set, readiness_sets)
{
    opened<Set> set;
    watched_pair p(set);
    for (int i = 0; i < 100; ++i)
    {
        auto const text = std::to_string(i);
        p.hear();
        // Before, between, and after: it is found, if not heard already.
        if (i % 3 == 0)
            p.say(text);
        BOOST_TEST(p.watch(direction::receive));
        if (i % 3 == 1)
            p.say(text);
        // It comes after the last read, in a wait that ends by something else.
        if (i % 3 == 2)
        {
            set.wait(at_once);
            p.say(text);
            BOOST_TEST(p.watch(direction::receive));
        }
        while (!p.known.may(direction::receive))
            BOOST_TEST(p.is_in(set.wait(for_ever)));
        BOOST_TEST(p.hear() == text);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(finds_the_rest_of_what_was_read_in_part, Set, readiness_sets)
{
    opened<Set> set;
    watched_pair p(set);
    p.hear();
    BOOST_TEST(p.watch(direction::receive));
    p.say("abc");
    BOOST_TEST(p.is_in(set.wait(for_ever)));
    char byte;
    BOOST_TEST(::recv(p.ends[0], &byte, 1, MSG_DONTWAIT) == 1);
    // Nobody has said that there is no more.
    BOOST_TEST(p.known.may(direction::receive));
    BOOST_TEST(p.hear() == "bc");
    BOOST_TEST(p.watch(direction::receive));
    set.wait(at_once);
    p.hear();
    BOOST_TEST(p.watch(direction::receive));
    p.say("d");
    while (!p.known.may(direction::receive))
        BOOST_TEST(p.is_in(set.wait(for_ever)));
    BOOST_TEST(p.hear() == "d");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(says_when_there_is_room_to_send, Set, readiness_sets)
{
    opened<Set> set;
    watched_pair p(set);
    p.fill();
    BOOST_TEST(p.watch(direction::send));
    BOOST_TEST(is_empty(set.wait(at_once)));
    p.empty();
    BOOST_TEST(p.is_in(set.wait(for_ever)));
    BOOST_TEST(p.known.may(direction::send));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(watches_both_directions_of_one_descriptor, Set, readiness_sets)
{
    opened<Set> set;
    watched_pair p(set);
    p.hear();
    p.fill();
    BOOST_TEST(p.watch(direction::receive));
    BOOST_TEST(p.watch(direction::send));
    BOOST_TEST(is_empty(set.wait(at_once)));
    p.say("hello");
    while (!p.known.may(direction::receive))
        BOOST_TEST(p.is_in(set.wait(for_ever)));
    BOOST_TEST(!p.known.may(direction::send));
    p.empty();
    while (!p.known.may(direction::send))
        BOOST_TEST(p.is_in(set.wait(for_ever)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_end_is_something_to_receive, Set, readiness_sets)
{
    opened<Set> set;
    watched_pair ended(set);
    watched_pair aborted(set);
    for (auto* p : {&ended, &aborted})
    {
        p->hear();
        p->fill();
        BOOST_TEST(p->watch(direction::receive));
    }
    BOOST_TEST(aborted.watch(direction::send));
    ::shutdown(ended.ends[1], SHUT_WR);
    while (!ended.known.may(direction::receive))
        BOOST_TEST(ended.is_in(set.wait(for_ever)));
    ::shutdown(aborted.ends[0], SHUT_RDWR);
    while (!aborted.known.may(direction::receive) || !aborted.known.may(direction::send))
        BOOST_TEST(aborted.is_in(set.wait(for_ever)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(finds_more_than_it_can_say_at_once, Set, readiness_sets)
{
    opened<Set> set;
    std::vector<std::unique_ptr<watched_pair<Set>>> all;
    for (std::size_t i = 0; i < readiness_events::most + 50; ++i)
    {
        auto& p = *all.emplace_back(std::make_unique<watched_pair<Set>>(set));
        p.hear();
        BOOST_TEST(p.watch(direction::receive));
        p.say("hello");
    }
    auto const is_ready = [](auto const& p) { return p->known.may(direction::receive); };
    std::size_t n = 0;
    while (!std::all_of(all.begin(), all.end(), is_ready))
    {
        auto const found = set.wait(for_ever);
        n += static_cast<std::size_t>(found.end() - found.begin());
    }
    BOOST_TEST(n == all.size());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(waits_until_a_time_and_no_longer, Set, readiness_sets)
{
    opened<Set> set;
    watched_pair p(set);
    p.hear();
    BOOST_TEST(p.watch(direction::receive));
    support::check_lasts(50ms, [&] { BOOST_TEST(is_empty(set.wait(clk::now() + 50ms))); });
    BOOST_TEST(is_empty(set.wait(clk::now() - 1h)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(another_thread_may_end_a_wait, Set, readiness_sets)
{
    Set set;
    set.allow_wake();
    set.allow_wake();
    for (int i = 0; i < 3; ++i)
    {
        support::beside waits([&] { return set.wait(for_ever).woken; });
        waits.wait_until_asleep();
        set.wake();
        BOOST_TEST(waits.get());
    }
    // Before the wait; any number is one.
    for (int i = 0; i < 1000; ++i)
        set.wake();
    BOOST_TEST(set.wait(for_ever).woken);
    BOOST_TEST(finds_nothing(set));
}

namespace {

void (*on_signal)() = nullptr;

} // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(a_signal_handler_may_end_a_wait, Set, readiness_sets)
{
    static Set* woken;
    Set set;
    set.allow_wake();
    woken = &set;
    on_signal = [] { woken->wake(); };
    struct sigaction action
    {
    };
    struct sigaction before;
    action.sa_handler = [](int) { on_signal(); };
    ::sigaction(SIGUSR1, &action, &before);
    support::beside waits([&] {
        // Where the signal itself ends the wait, the next hears of it.
        return set.wait(for_ever).woken || set.wait(for_ever).woken;
    });
    waits.wait_until_asleep();
    waits.signal(SIGUSR1);
    BOOST_TEST(waits.get());
    ::sigaction(SIGUSR1, &before, nullptr);
}
