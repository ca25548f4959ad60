// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// A handler, tested without a socket.

// tag::all[]
#define BOOST_TEST_MODULE in_memory
#include <boost/test/unit_test.hpp>

#include <socketserver.hpp>

#include <istream>
#include <memory>
#include <ostream>
#include <string>

using namespace socketserver;

class greeter : public stream_request_handler
{
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line);)
            wfile() << "hello, " << line << '\n';
    }
};

struct fixture
{
    // What a greeter says to this, and whether the Nth operation fails.
    std::string say(std::string const& input, std::size_t fails = 0)
    {
        record = std::make_shared<memory_transport::record>();
        stream s(std::make_unique<memory_transport>(input, record, fails));
        server.finish_request(s, "192.0.2.1:50000"); // makes a handler and lets it handle
        return record->output;
    }

    // Never bound, never served: a handler has to have one.
    synchronous_tcp_server server{defer_activation, "127.0.0.1:0", handler<greeter>};
    std::shared_ptr<memory_transport::record> record;
};

BOOST_FIXTURE_TEST_CASE(greets_whoever_comes, fixture)
{
    BOOST_TEST(say("Ann\nBob\n") == "hello, Ann\nhello, Bob\n");
    BOOST_TEST(say("") == "");
}

BOOST_FIXTURE_TEST_CASE(ends_with_the_error_of_whatever_operation_fails, fixture)
{
    say("Ann\n");
    auto const operations = record->operations;
    for (std::size_t n = 1; n < operations; ++n)
        BOOST_CHECK_THROW(say("Ann\n", n), boost::system::system_error);
}
// end::all[]

// tag::datagram[]
BOOST_AUTO_TEST_CASE(answers_a_datagram)
{
    synchronous_udp_server server(defer_activation, "127.0.0.1:0",
        [](datagram& request) { request.wfile() << request.packet().size() << " bytes"; });
    auto const record = std::make_shared<memory_datagram::record>();
    memory_datagram d("hello", "192.0.2.1:50000", record);
    server.finish_request(d, d.sender());
    BOOST_TEST(record->sent.at(0).text == "5 bytes");
}
// end::datagram[]
