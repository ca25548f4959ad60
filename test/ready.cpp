// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/ready.hpp>

#define BOOST_TEST_MODULE ready
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"
#include "support/descriptors.hpp"
#include "support/names.hpp"

#include <socketserver/strategy/threading_mixin.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/system/system_error.hpp>

#include <stdexcept>
#include <string>
#include <vector>

using namespace socketserver;

namespace {

void end_at_once(stream&) {}

// Tells which of its overrides were called.
class recording : public threading_mixin<tcp_server>
{
public:
    recording(endpoint const& address, std::vector<std::string>& calls)
        : threading_mixin(address, end_at_once)
        , calls_(calls)
    {
    }

    void server_bind() override
    {
        calls_.push_back("bind");
        threading_mixin::server_bind();
    }

    void server_activate() override
    {
        calls_.push_back("activate");
        threading_mixin::server_activate();
    }

    void server_close() override
    {
        calls_.push_back("close");
        threading_mixin::server_close();
    }

private:
    std::vector<std::string>& calls_;
};

class failing : public recording
{
public:
    using recording::recording;

    void server_activate() override { throw std::runtime_error("will not listen"); }
};

} // namespace

BOOST_AUTO_TEST_CASE(calls_the_overrides_of_the_user_from_first_to_last)
{
    std::vector<std::string> calls;
    {
        ready<recording> const server("127.0.0.1:0", calls);
        BOOST_TEST((calls == std::vector<std::string>{"bind", "activate"}));
    }
    BOOST_TEST((calls == std::vector<std::string>{"bind", "activate", "close"}));
}

BOOST_AUTO_TEST_CASE(listens_when_it_is_made)
{
    std::vector<std::string> calls;
    ready<recording> const server("127.0.0.1:0", calls);
    BOOST_TEST(server.server_address().port() != 0);
    support::client const client(server.server_address());
}

BOOST_AUTO_TEST_CASE(closes_and_passes_on_what_binding_throws)
{
    support::no_descriptor_left const nothing_left;
    std::vector<std::string> calls;
    BOOST_CHECK_EXCEPTION(ready<failing>("127.0.0.1:0", calls), std::runtime_error,
        [](auto const& e) { return std::string(e.what()) == "will not listen"; });
    BOOST_TEST((calls == std::vector<std::string>{"bind", "close"}));
}

BOOST_AUTO_TEST_CASE(names_the_address_that_is_taken)
{
    ready<tcp_server> const first("127.0.0.1:0", end_at_once);
    BOOST_CHECK_EXCEPTION(ready<tcp_server>(first.server_address(), end_at_once),
        boost::system::system_error,
        support::names(first.server_address().str(), boost::system::errc::address_in_use));
}

BOOST_AUTO_TEST_CASE(a_second_activation_is_refused_and_does_no_harm)
{
    std::vector<std::string> calls;
    ready<recording> server("127.0.0.1:0", calls);
    BOOST_CHECK_EXCEPTION(
        server.activate(), std::logic_error, support::names(server.server_address().str()));
    support::client const client(server.server_address());
}

BOOST_AUTO_TEST_CASE(waits_with_binding_when_asked_to)
{
    std::vector<std::string> calls;
    {
        ready<recording> server(defer_activation, "127.0.0.1:0", calls);
        BOOST_TEST(calls.empty());
        BOOST_TEST(server.fileno() == -1);
        BOOST_CHECK_EXCEPTION(
            server.serve_forever(), std::logic_error, support::names("activate()"));
        server.activate();
        BOOST_TEST((calls == std::vector<std::string>{"bind", "activate"}));
    }
    {
        ready<recording> const never_activated(defer_activation, "127.0.0.1:0", calls);
    }
    BOOST_TEST(calls.back() == "close");
}
