// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy.hpp>

#define BOOST_TEST_MODULE strategy
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <stdexcept>
#include <string>

using socketserver::strategy;
namespace data = boost::unit_test::data;

BOOST_AUTO_TEST_CASE(is_synchronous_by_default)
{
    BOOST_TEST(strategy().str() == "synchronous");
    BOOST_TEST(!strategy().preforks());
}

BOOST_DATA_TEST_CASE(prints_what_it_parses,
    data::make({"synchronous", "threading", "threading:1000000", "thread-pool", "thread-pool:16",
        "forking", "forking:1", "fork-server", "fork-server:3", "coroutine", "coroutine:1",
        "coroutine:8", "preforking", "preforking:4", "preforking/threading",
        "preforking:4/thread-pool:2", "preforking:2/forking", "preforking:3/coroutine",
        "preforking:2/coroutine:4"}),
    text)
{
    BOOST_TEST(strategy(text).str() == text);
}

BOOST_AUTO_TEST_CASE(tells_its_parts)
{
    strategy const s("preforking:3/thread-pool:7");
    BOOST_TEST(s.preforks());
    BOOST_TEST(s.workers().value() == 3u);
    BOOST_TEST((s.dispatching() == strategy::dispatch::thread_pool));
    BOOST_TEST(s.limit().value() == 7u);
    BOOST_TEST(!strategy("preforking").workers().has_value());
    BOOST_TEST(!strategy("threading").limit().has_value());
}

BOOST_AUTO_TEST_CASE(says_whether_handlers_share_no_memory)
{
    for (char const* const text :
        {"forking", "fork-server:2", "preforking", "preforking/coroutine"})
        BOOST_TEST(strategy(text).forks(), text);
    for (char const* const text : {"synchronous", "threading", "thread-pool:2", "coroutine"})
        BOOST_TEST(!strategy(text).forks(), text);
}

BOOST_AUTO_TEST_CASE(preforking_alone_is_synchronous_within)
{
    BOOST_TEST(strategy("preforking/synchronous").str() == "preforking");
}

BOOST_DATA_TEST_CASE(refuses_what_is_none_and_says_what_is_possible,
    data::make({"", "thread", "Threading", " threading", "threading ", "threading:", "threading:0",
        "threading:-1", "threading:+1", "threading:1x", "threading:1000001",
        "threading:99999999999999999999", "threading:1:2", "synchronous:2", "coroutine:0",
        "preforking/", "preforking:0", "preforking/preforking", "preforking/fork-server",
        "preforking:2/coroutine:", "threading/preforking", "/", ":", "threading/"}),
    text)
{
    BOOST_CHECK_EXCEPTION(
        strategy(std::string(text)), std::invalid_argument, [&](std::invalid_argument const& e) {
            std::string const what = e.what();
            return what.starts_with('\'' + std::string(text) + "' is not a strategy: ") &&
                   what.find("thread-pool[:N]") != what.npos;
        });
}
