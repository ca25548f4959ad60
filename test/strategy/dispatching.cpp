// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/dispatching.hpp>

#define BOOST_TEST_MODULE dispatching

#include <socketserver/servers.hpp>

#include <boost/test/unit_test.hpp>

#include <concepts>

using namespace socketserver;

namespace {

// What a server is: who runs its requests is settled, and who runs its loop.
template <class Server>
constexpr bool dispatches = dispatching<Server>;

template <class Server>
constexpr bool serves = serving<Server>;

// A class of the user's says no more than what it is derived from.
class own : public threading_mixin<tcp_server>
{
    using threading_mixin::threading_mixin;
};

} // namespace

BOOST_AUTO_TEST_CASE(a_server_without_mixins_is_neither)
{
    BOOST_TEST(!dispatches<tcp_server>);
    BOOST_TEST(!serves<tcp_server>);
    BOOST_TEST(!dispatches<int>);
}

BOOST_AUTO_TEST_CASE(a_dispatching_mixin_dispatches)
{
    BOOST_TEST(dispatches<threading_mixin<tcp_server>>);
    BOOST_TEST(dispatches<thread_pool_mixin<tcp_server>>);
    BOOST_TEST(dispatches<forking_mixin<tcp_server>>);
    BOOST_TEST(dispatches<coroutine_mixin<tcp_server>>);
    BOOST_TEST(!serves<threading_mixin<tcp_server>>);
    BOOST_TEST(!serves<coroutine_mixin<tcp_server>>);
}

BOOST_AUTO_TEST_CASE(a_serving_mixin_serves)
{
    BOOST_TEST(serves<preforking_mixin<tcp_server>>);
    BOOST_TEST(!dispatches<preforking_mixin<tcp_server>>);
}

BOOST_AUTO_TEST_CASE(both_may_be_had)
{
    BOOST_TEST(serves<preforking_mixin<forking_mixin<tcp_server>>>);
    BOOST_TEST(dispatches<preforking_mixin<forking_mixin<tcp_server>>>);
}

BOOST_AUTO_TEST_CASE(a_derived_class_is_what_its_base_is)
{
    BOOST_TEST(dispatches<own>);
    BOOST_TEST(dispatches<threading_tcp_server>);
    BOOST_TEST(!dispatches<synchronous_tcp_server>);
}

BOOST_AUTO_TEST_CASE(a_server_says_which_strategy_it_has)
{
    BOOST_TEST((std::same_as<own::dispatching_strategy, threading_mixin<tcp_server>>));
    BOOST_TEST(
        (std::same_as<preforking_tcp_server::serving_strategy, preforking_mixin<tcp_server>>));
}
