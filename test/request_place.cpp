// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/request_place.hpp>

#define BOOST_TEST_MODULE request_place
#include <boost/test/unit_test.hpp>

#include <socketserver/connect.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/stream_server.hpp>

#include <utility>

using namespace socketserver;

namespace {

// Keeps the place of each request that it serves.
class keeper : public tcp_server
{
public:
    using tcp_server::tcp_server;

    void process_request(stream& request, endpoint const& client_address) override
    {
        kept = std::move(this->loop_request().place);
        tcp_server::process_request(request, client_address);
    }

    request_place kept;
};

struct fixture
{
    void serve_one()
    {
        connect(server.server_address(), std::chrono::seconds(20));
        server.handle_request();
    }

    ready<keeper> server{"127.0.0.1:0", [](stream&) {}};
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(places, fixture)

BOOST_AUTO_TEST_CASE(is_given_back_when_it_is_destroyed)
{
    serve_one();
    BOOST_TEST(server.counters().active == 1u);
    server.kept = request_place();
    BOOST_TEST(server.counters().active == 0u);
    BOOST_TEST(server.counters().peak == 1u);
}

BOOST_AUTO_TEST_CASE(is_given_back_once_however_it_was_moved)
{
    serve_one();
    {
        request_place other = std::move(server.kept);
        server.kept = std::move(other);
        request_place const another = std::move(server.kept);
        BOOST_TEST(server.counters().active == 1u);
    }
    BOOST_TEST(server.counters().active == 0u);
}

BOOST_AUTO_TEST_CASE(a_new_one_takes_the_place_of_another)
{
    serve_one();
    serve_one();
    BOOST_TEST(server.counters().active == 1u);
    BOOST_TEST(server.counters().peak == 2u);
    server.kept = request_place();
}

BOOST_AUTO_TEST_CASE(of_a_process_that_has_crashed_is_counted)
{
    serve_one();
    server.kept.crashed();
    BOOST_TEST(server.counters().active == 0u);
    BOOST_TEST(server.counters().crashed == 1u);
}

BOOST_AUTO_TEST_CASE(one_that_is_forgotten_is_not_given_back)
{
    serve_one();
    server.kept.after_fork();
    server.kept = request_place();
    BOOST_TEST(server.counters().active == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
