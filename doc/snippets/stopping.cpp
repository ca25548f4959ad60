// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The way down: from another thread, from a handler, with a goodbye, and with the time that is
// given to it.

#define BOOST_TEST_MODULE stopping
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"

#include <socketserver.hpp>

#include <chrono>
#include <functional>
#include <istream>
#include <mutex>
#include <ostream>
#include <set>
#include <string>
#include <thread>
#include <utility>

using namespace socketserver;
using namespace std::chrono_literals;
using support::client;

namespace {

class echo : public stream_request_handler
{
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line);)
            wfile() << line << '\n';
    }
};

// tag::handler[]
class obedient : public stream_request_handler
{
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line);)
            if (line == "stop")
                server().shutdown();
            else
                wfile() << line << '\n';
    }
};
// end::handler[]

// tag::chat[]
struct room
{
    void say(std::string const& text)
    {
        std::lock_guard const lock(mutex);
        for (stream* s : streams)
            if (!s->try_send(text))
                s->abort(); // it reads too slowly
    }

    std::mutex mutex;
    std::set<stream*> streams;
};

class talking : public stream_request_handler
{
public:
    explicit talking(room& r)
        : room_(r)
    {
    }

private:
    void setup() override
    {
        {
            std::lock_guard const lock(room_.mutex);
            room_.streams.insert(&request());
        }
        room_.say("somebody comes\n");
    }

    void handle() override
    {
        for (std::string line; request().read_line(line);)
            room_.say(line + '\n');
    }

    void finish() override // once setup() has succeeded, whatever handle() did
    {
        std::lock_guard const lock(room_.mutex);
        room_.streams.erase(&request());
    }

    room& room_;
};

class chat_server : public tcp_server
{
public:
    chat_server(endpoint address, room& r)
        : tcp_server(std::move(address), handler<talking>(std::ref(r)))
        , room_(r)
    {
    }

private:
    void server_stopping() override { room_.say("the server stops; please leave\n"); }

    room& room_;
};
// end::chat[]

} // namespace

BOOST_AUTO_TEST_CASE(another_thread_stops_it)
{
    // tag::thread[]
    std::thread loop; // outlives the server, whose destructor ends what the thread runs
    threading_tcp_server server("127.0.0.1:0", handler<echo>);
    loop = std::thread([&] { server.serve_forever(); });
    // end::thread[]
    client c(server.server_address());
    c.send("one\n");
    BOOST_TEST(c.line() == "one");
    // tag::thread-stop[]
    server.shutdown(); // the loop has ended; the requests in progress go on
    // end::thread-stop[]
    c.send("two\n");
    BOOST_TEST(c.line() == "two");
    c.close();
    // tag::thread-close[]
    server.server_close(); // nobody can connect any more, and the requests have ended
    loop.join();
    // end::thread-close[]
    BOOST_CHECK_THROW(connect(server.server_address()), boost::system::system_error);
}

BOOST_AUTO_TEST_CASE(a_handler_stops_it)
{
    threading_tcp_server server("127.0.0.1:0", handler<obedient>);
    client c(server.server_address());
    c.send("one\nstop\ntwo\n");
    server.serve_forever();
    BOOST_TEST(c.line() == "one");
    BOOST_TEST(c.line() == "two");
}

BOOST_AUTO_TEST_CASE(requests_are_given_a_time_to_end)
{
    threading_tcp_server server("127.0.0.1:0", handler<echo>);
    // tag::times[]
    server.drain_timeout = 10s; // to end by themselves; 30 s by default
    server.abort_timeout = 2s;  // to end once every wait of theirs fails; 5 s by default
    // end::times[]
    server.drain_timeout = 100ms;
    client c(server.server_address());
    server.handle_request();
    server.server_close();
    server.end_requests();
    BOOST_TEST(c.sees_end());
}

BOOST_AUTO_TEST_CASE(clients_are_told_and_left)
{
    room r;
    std::thread loop;
    ready<threading_mixin<chat_server>> server("127.0.0.1:0", r);
    // tag::at-once[]
    server.drain_timeout = 0s; // say goodbye, and wait for nobody
    // end::at-once[]
    loop = std::thread([&] { server.serve_forever(); });
    client one(server.server_address());
    BOOST_TEST(one.line() == "somebody comes");
    server.shutdown();
    server.server_close();
    server.end_requests();
    BOOST_TEST(one.all() == "the server stops; please leave\n");
    loop.join();
}

BOOST_AUTO_TEST_CASE(clients_are_told)
{
    room r;
    std::thread loop;
    ready<threading_mixin<chat_server>> server("127.0.0.1:0", r);
    loop = std::thread([&] { server.serve_forever(); });
    client one(server.server_address());
    BOOST_TEST(one.line() == "somebody comes");
    client two(server.server_address());
    BOOST_TEST(one.line() == "somebody comes");
    two.send("hello\n");
    BOOST_TEST(one.line() == "hello");
    server.shutdown();
    BOOST_TEST(one.line() == "the server stops; please leave");
    one.close();
    two.close();
    server.server_close();
    loop.join();
}
