// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What a connection takes that is open and silent.

#define BOOST_TEST_MODULE costs_memory
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "costs/measured.hpp"

#include <cstddef>
#include <memory>
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
    double bytes;
};

std::ostream& operator<<(std::ostream& to, limits const& l)
{
    return to << l.strategy;
}

std::vector<limits> const promised{{"coroutine", 9 * 1024}, {"threading:6000", 14 * 1024}};

// Connections that have had a message each, and stay.
class idle_connections
{
public:
    idle_connections(socketserver::endpoint const& server, std::size_t n)
        : load_("load", {"--connect", server.str(), "--messages", "--hold", "--patience", "60",
                            "--clients", std::to_string(n), "--count", std::to_string(n)})
    {
        BOOST_REQUIRE(load_.line().starts_with("done"));
    }

private:
    support::program load_;
};

} // namespace

BOOST_AUTO_TEST_SUITE(memory)

BOOST_DATA_TEST_CASE(takes_little_memory_for_an_idle_connection, promised, strategy)
{
    constexpr std::size_t connections = 5000;
    echo e(strategy.strategy);
    put_load(e.address, 16, 100);
    auto const before = own_memory(e.server.pid());
    {
        idle_connections const idle(e.address, connections);
        auto const each = (own_memory(e.server.pid()) - before) / connections;
        // Less than a page cannot be: the stack has one.
        BOOST_TEST(each > 2048);
        figure("bytes an idle connection", strategy.strategy, each, strategy.bytes);
    }
    e.end();
}

// A fork copies each page that one of both processes writes to, and lends the child no page of
// code: what is scattered costs more than what is long.
BOOST_AUTO_TEST_CASE(touches_few_pages_for_a_connection_with_a_process_of_its_own)
{
    constexpr std::size_t connections = 1000;
    echo e("forking:64");
    put_load(e.address, 16, 200);
    auto const before = page_faults(e.server.pid());
    put_load(e.address, 16, connections);
    auto const each = (page_faults(e.server.pid()) - before) / connections;
    // Those of the bare fork alone.
    BOOST_TEST(each > 10);
    figure("page faults a short connection", "forking", each, 34);
    e.end();
}

BOOST_AUTO_TEST_CASE(serves_fifty_clients_beside_fifteen_thousand_idle_ones)
{
    echo e("coroutine");
    {
        idle_connections const idle(e.address, 15000);
        put_load(e.address, 50, 10000, {"--messages"});
        put_load(e.address, 50, 2000);
    }
    e.end();
}

BOOST_AUTO_TEST_SUITE_END()
