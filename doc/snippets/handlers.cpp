// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Handlers: a class with members, what handlers share, and a function in place of a class.

#define BOOST_TEST_MODULE handlers
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"
#include "support/served.hpp"

#include <socketserver.hpp>

#include <atomic>
#include <functional>
#include <istream>
#include <ostream>
#include <string>

using namespace socketserver;
using support::client;

namespace {

// tag::class[]
class guessing : public stream_request_handler
{
public:
    explicit guessing(int secret)
        : secret_(secret)
    {
    }

private:
    void setup() override { wfile() << "guess!\n"; }

    void handle() override
    {
        for (int n; rfile() >> n; ++tries_)
        {
            if (n == secret_)
                return;
            wfile() << (n < secret_ ? "more\n" : "less\n");
        }
    }

    void finish() override { wfile() << "it is " << secret_ << "; wrong: " << tries_ << '\n'; }

    int secret_;
    int tries_ = 0;
};
// end::class[]

// tag::shared-class[]
class counting : public stream_request_handler
{
public:
    explicit counting(std::atomic<int>& visits)
        : visits_(visits)
    {
    }

private:
    void handle() override { wfile() << "you are visitor " << ++visits_ << '\n'; }

    std::atomic<int>& visits_;
};
// end::shared-class[]

void serve_and(base_server& server, std::function<void()> const& talk)
{
    std::thread loop([&] { server.serve_forever(); });
    talk();
    server.shutdown();
    loop.join();
}

} // namespace

BOOST_AUTO_TEST_CASE(a_conversation_has_members)
{
    // tag::class-server[]
    threading_tcp_server server("127.0.0.1:0", handler<guessing>(42));
    // end::class-server[]
    serve_and(server, [&] {
        client c(server.server_address());
        c.send("1\n100\n42\n");
        BOOST_TEST(c.all() == "guess!\nmore\nless\nit is 42; wrong: 2\n");
    });
}

BOOST_AUTO_TEST_CASE(what_handlers_share_is_passed_by_reference)
{
    // tag::shared-server[]
    std::atomic<int> visits = 0; // before the server: it must outlive the handlers
    threading_tcp_server server("127.0.0.1:0", handler<counting>(std::ref(visits)));
    // end::shared-server[]
    serve_and(server, [&] {
        BOOST_TEST(client(server.server_address()).all() == "you are visitor 1\n");
        BOOST_TEST(client(server.server_address()).all() == "you are visitor 2\n");
    });
    BOOST_TEST(visits == 2);
}

BOOST_AUTO_TEST_CASE(a_function_will_do)
{
    // tag::callable[]
    threading_tcp_server server("127.0.0.1:0", [](stream& request, endpoint const& client_address) {
        request.wfile() << "you are " << client_address << '\n';
    });
    // end::callable[]
    serve_and(server, [&] {
        client c(server.server_address());
        BOOST_TEST(c.line().starts_with("you are 127.0.0.1:"));
    });
}
