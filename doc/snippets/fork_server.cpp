// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Forking in a program with threads: another process forks, one that was made before them.

#define BOOST_TEST_MODULE fork_server
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"

#include <socketserver.hpp>

#include <istream>
#include <ostream>
#include <stop_token>
#include <string>
#include <thread>

using namespace socketserver;
using support::client;

namespace {

class greeter : public stream_request_handler
{
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line);)
            wfile() << "hello, " << line << '\n';
    }
};

void write_statistics(std::stop_token stop)
{
    while (!stop.stop_requested())
        std::this_thread::yield();
}

void check_greets(base_server& server)
{
    std::jthread const loop([&] { server.serve_forever(); });
    client one(server.server_address());
    one.send("you\n");
    one.end();
    BOOST_TEST(one.all() == "hello, you\n");
    server.shutdown();
}

} // namespace

BOOST_AUTO_TEST_CASE(by_type)
{
    // tag::type[]
    forking_tcp_server server("127.0.0.1:0", handler<greeter>);
    server.start_fork_server();                      // <1>
    std::jthread const statistics(write_statistics); // <2>
    // end::type[]
    check_greets(server);
}

BOOST_AUTO_TEST_CASE(by_text)
{
    // tag::text[]
    auto const server = make_server<tcp_server>("fork-server:100", "127.0.0.1:0", handler<greeter>);
    // end::text[]
    check_greets(*server);
}

BOOST_AUTO_TEST_CASE(refused_without)
{
    forking_tcp_server server("127.0.0.1:0", handler<greeter>);
    std::jthread const statistics(write_statistics);
    // tag::refuse[]
    server.require_single_thread = true;
    // end::refuse[]
    BOOST_CHECK_THROW(server.serve_forever(), std::logic_error);
    BOOST_CHECK_THROW(server.start_fork_server(), std::logic_error);
}
