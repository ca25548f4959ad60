// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Datagrams: a handler, a function, and a client that asks again.

#define BOOST_TEST_MODULE datagrams
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <socketserver.hpp>

#include <chrono>
#include <functional>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>

namespace data = boost::unit_test::data;
using namespace socketserver;
using namespace std::chrono_literals;

namespace {

// tag::handler[]
class adder : public datagram_request_handler
{
    void handle() override
    {
        if (packet().empty() || request().truncated())
            return; // no answer
        double total = 0;
        for (double n; rfile() >> n;)
            total += n;
        wfile() << "the sum is " << total;
    }
};
// end::handler[]

// tag::client[]
std::string ask(endpoint const& server, std::string_view question)
{
    datagram_client client(server);
    client.timeout(500ms);
    boost::system::error_code ec;
    for (int tries = 0; tries < 3; ++tries)
    {
        client.send(question);
        auto const answer = client.receive(ec);
        if (!ec)
            return answer;
        if (ec != boost::asio::error::timed_out)
            break;
    }
    throw boost::system::system_error(ec, server.str());
}
// end::client[]

void serve_and(base_server& server, std::function<void()> const& talk)
{
    std::thread loop([&] { server.serve_forever(); });
    talk();
    server.shutdown();
    loop.join();
}

} // namespace

BOOST_AUTO_TEST_CASE(a_datagram_is_answered_by_one)
{
    // tag::server[]
    thread_pool_udp_server server("127.0.0.1:0", handler<adder>);
    // end::server[]
    serve_and(server, [&] {
        BOOST_TEST(ask(server.server_address(), "1 2 3") == "the sum is 6");
        datagram_client client(server.server_address());
        client.send("");
        client.send("0.5");
        BOOST_TEST(client.receive() == "the sum is 0.5");
    });
}

BOOST_AUTO_TEST_CASE(a_function_will_do)
{
    // tag::callable[]
    coroutine_udp_server server("127.0.0.1:0", [](datagram& request, endpoint const& client) {
        request.send("you are " + client.str()); // at once
        request.wfile() << request.packet().size() << " bytes";
    });
    // end::callable[]
    serve_and(server, [&] {
        datagram_client client(server.server_address());
        client.timeout(5s);
        client.send("hello");
        BOOST_TEST(client.receive() == "you are " + client.local_endpoint().str());
        BOOST_TEST(client.receive() == "5 bytes");
    });
}

BOOST_DATA_TEST_CASE(
    a_strategy_is_one_word, data::make({"synchronous", "threading", "thread-pool", "forking",
                                "coroutine", "preforking:2", "preforking:2/coroutine"}))
{
    // tag::text[]
    auto const server = make_server<udp_server>(sample, "127.0.0.1:0", handler<adder>);
    // end::text[]
    serve_and(*server, [&] { BOOST_TEST(ask(server->server_address(), "1 2") == "the sum is 3"); });
}

BOOST_AUTO_TEST_CASE(where_nobody_is_nothing_answers)
{
    endpoint nobody;
    {
        synchronous_udp_server const gone("127.0.0.1:0", handler<adder>);
        nobody = gone.server_address();
    }
    BOOST_CHECK_THROW(ask(nobody, "1"), boost::system::system_error);
}
