// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What the strategies ask the system and the heap for.

#define BOOST_TEST_MODULE costs_calls
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "costs/measured.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

namespace data = boost::unit_test::data;
using namespace costs;

BOOST_TEST_GLOBAL_FIXTURE(on_one_core);

namespace {

struct limits
{
    std::string strategy;
    std::size_t open; // connections that it can hold at once, of 64
    double calls_a_message;
    double calls_a_connection;
    double allocations_a_connection = 3;
};

std::ostream& operator<<(std::ostream& to, limits const& l)
{
    return to << l.strategy;
}

constexpr double rounding = 0.05; // of allocations

std::vector<limits> const promised{
    {"synchronous", 1, 2.1, 8},
    {"threading", 64, 2.1, 11},
    {"thread-pool:64", 64, 2.1, 11},
    {"forking:64", 64, 2.1, 30},
    {"coroutine", 64, 2.15, 9.5},
    {"preforking:2", 2, 2.1, 8},
    {"preforking:2/coroutine", 64, 2.15, 9.5},
    {"coroutine:2", 64, 2.15, 9.5},
    {"fork-server:64", 64, 2.1, 60},
    {"preforking:2/threading", 64, 2.1, 11},
    {"preforking:2/thread-pool:64", 64, 2.1, 11},
    {"preforking:2/forking:64", 64, 2.1, 30},
};

struct cost
{
    double calls;
    double allocations;
};

// What an operation takes: the difference between a longer load and a shorter one, so that nothing
// counts that is done once.  The first makes threads and stacks that the others use again.  What
// else the machine does can only add to it, as it parts what would be done in one turn: the least
// of some tries counts, and the first that is good enough ends them.
cost of_each(limits const& l, bool messages)
{
    counters counted;
    echo e(l.strategy);
    counted.started();
    auto const clients = messages ? l.open : std::min<std::size_t>(l.open, 16);
    words const more = messages ? words{"--messages"} : words{};
    auto const load = [&](std::size_t count) {
        cost const before{counted.calls(), counted.allocations()};
        put_load(e.address, clients, count, more);
        return cost{counted.calls() - before.calls, counted.allocations() - before.allocations};
    };
    bool const is_slow = !messages && (l.strategy.starts_with("fork") ||
                                          l.strategy.find("/forking") != l.strategy.npos);
    std::size_t const few = is_slow ? 200 : 1000;
    std::size_t const many = is_slow ? 1200 : 11000;
    double const n = static_cast<double>(many - few);
    constexpr double unknown = std::numeric_limits<double>::infinity();
    cost least{unknown, unknown};
    load(few);
    for (int tries = 0; tries < 5; ++tries)
    {
        auto const shorter = load(few);
        auto const longer = load(many);
        least.calls = std::min(least.calls, (longer.calls - shorter.calls) / n);
        least.allocations =
            std::min(least.allocations, (longer.allocations - shorter.allocations) / n);
        if (least.calls <= (messages ? l.calls_a_message : l.calls_a_connection))
            break;
    }
    e.end();
    return least;
}

} // namespace

BOOST_AUTO_TEST_SUITE(calls)

BOOST_DATA_TEST_CASE(takes_a_message_in_two_system_calls_and_no_memory, promised, strategy)
{
    auto const a_message = of_each(strategy, true);
    // Fewer, and the counting is at fault.
    BOOST_TEST(a_message.calls > 1.8);
    figure("system calls a message", strategy.strategy, a_message.calls, strategy.calls_a_message);
    figure("allocations a message", strategy.strategy, a_message.allocations, 0, rounding);
}

BOOST_DATA_TEST_CASE(takes_a_connection_in_few_system_calls_and_allocations, promised, strategy)
{
    auto const a_connection = of_each(strategy, false);
    BOOST_TEST(a_connection.calls > 4.9);
    figure("system calls a short connection", strategy.strategy, a_connection.calls,
        strategy.calls_a_connection);
    figure("allocations a short connection", strategy.strategy, a_connection.allocations,
        strategy.allocations_a_connection, rounding);
}

BOOST_AUTO_TEST_SUITE_END()
