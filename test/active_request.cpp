// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/active_request.hpp>

#define BOOST_TEST_MODULE active_request
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/connected.hpp"

#include <socketserver/memory_transport.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/system/system_error.hpp>

#include <chrono>
#include <csignal>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

namespace asio = boost::asio;
using boost::system::error_code;
using namespace socketserver;
using namespace std::literals;
using support::beside;

namespace {

struct fixture
{
    ready<tcp_server> server{"127.0.0.1:0", [](stream&) {}};
    endpoint client{"192.0.2.1:1234"};
};

struct in_memory
{
    explicit in_memory(std::string input = {})
        : bytes(new memory_transport(std::move(input), record))
        , stream(std::unique_ptr<transport>(bytes))
    {
    }

    std::shared_ptr<memory_transport::record> record = std::make_shared<memory_transport::record>();
    memory_transport* bytes;
    socketserver::stream stream;
};

error_code read_one(stream& s)
{
    error_code ec;
    char c;
    s.read_some(asio::buffer(&c, 1), ec);
    return ec;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(active_requests, fixture)

BOOST_AUTO_TEST_CASE(is_the_current_one_within_its_scope)
{
    BOOST_TEST(active_request::current() == nullptr);
    active_request outer(server);
    active_request inner(server);
    {
        active_request::scope const a(&outer);
        BOOST_TEST(active_request::current() == &outer);
        {
            active_request::scope const b(&inner);
            BOOST_TEST(active_request::current() == &inner);
            active_request::scope const c(nullptr);
            BOOST_TEST(active_request::current() == nullptr);
        }
        BOOST_TEST(active_request::current() == &outer);
        // Of this thread alone.
        beside elsewhere([] { return active_request::current(); });
        BOOST_TEST(elsewhere.get() == nullptr);
    }
    BOOST_TEST(active_request::current() == nullptr);
}

BOOST_AUTO_TEST_CASE(knows_whose_it_is_and_since_when)
{
    active_request r(server);
    auto const before = active_request::clock::now();
    r.enter(client);
    BOOST_TEST(&r.server() == &server);
    BOOST_TEST((r.client() == client));
    BOOST_TEST((r.since() >= before - std::chrono::milliseconds(50)));
    BOOST_TEST((r.since() <= active_request::clock::now()));
    BOOST_TEST(!r.aborted());
    r.run();
}

BOOST_AUTO_TEST_CASE(the_server_waits_for_it)
{
    active_request r(server);
    r.enter(client);
    beside closer([&] { server.server_close(); });
    closer.wait_until_asleep();
    BOOST_TEST(!closer.is_done());
    r.leave();
    closer.get();
    r.leave();
}

BOOST_AUTO_TEST_CASE(the_server_does_not_wait_for_the_callers_own)
{
    active_request r(server);
    r.enter(client);
    active_request::scope const current(&r);
    server.server_close();
}

BOOST_AUTO_TEST_CASE(its_destructor_ends_it)
{
    {
        active_request r(server);
        r.enter(client);
    }
    server.server_close();
}

BOOST_AUTO_TEST_CASE(the_server_aborts_it_when_the_time_is_up)
{
    server.drain_timeout = 30ms;
    support::connected c;
    active_request r(server);
    r.enter(client, &c.stream);
    beside request([&] {
        auto const ec = read_one(c.stream);
        r.leave();
        return ec;
    });
    server.end_requests();
    BOOST_TEST(request.get() == asio::error::operation_aborted);
    BOOST_TEST(r.aborted());
}

BOOST_AUTO_TEST_CASE(an_abort_ends_all_of_its_streams_the_later_ones_too)
{
    in_memory primary("x");
    in_memory second("x");
    in_memory late("x");
    in_memory other("x");
    active_request r(server);
    r.enter(client, &primary.stream);
    r.attach(*second.bytes);
    r.abort();
    r.attach(*late.bytes);
    BOOST_TEST(r.aborted());
    BOOST_TEST(read_one(primary.stream) == asio::error::operation_aborted);
    BOOST_TEST(read_one(second.stream) == asio::error::operation_aborted);
    BOOST_TEST(read_one(late.stream) == asio::error::operation_aborted);
    BOOST_TEST(!read_one(other.stream));
}

BOOST_AUTO_TEST_CASE(a_stream_that_is_gone_has_left)
{
    in_memory primary("x");
    active_request r(server);
    r.enter(client, &primary.stream);
    {
        in_memory gone("x");
        r.attach(*gone.bytes);
    }
    in_memory detached("x");
    r.attach(*detached.bytes);
    r.detach(*detached.bytes);
    r.abort();
    BOOST_TEST(read_one(primary.stream) == asio::error::operation_aborted);
    BOOST_TEST(!read_one(detached.stream));
}

BOOST_AUTO_TEST_CASE(a_stream_belongs_to_one_request_at_a_time)
{
    in_memory a("x");
    active_request first(server);
    active_request second(server);
    first.enter(client, &a.stream);
    second.enter(client, &a.stream);
    first.abort();
    BOOST_TEST(!read_one(a.stream));
    second.abort();
    BOOST_TEST(read_one(a.stream) == asio::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE(begins_anew_without_an_abort)
{
    active_request r(server);
    r.enter(client);
    r.abort();
    r.leave();
    in_memory a("x");
    r.enter(client, &a.stream);
    BOOST_TEST(!r.aborted());
    BOOST_TEST(!read_one(a.stream));
}

BOOST_AUTO_TEST_CASE(may_be_aborted_by_a_signal_handler)
{
    static active_request* target;
    in_memory a("x");
    active_request r(server);
    r.enter(client, &a.stream);
    target = &r;
    auto* const before = std::signal(SIGUSR1, [](int) { target->abort(); });
    std::raise(SIGUSR1);
    std::signal(SIGUSR1, before);
    BOOST_TEST(read_one(a.stream) == asio::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE(may_be_aborted_while_streams_come_and_go)
{
    active_request r(server);
    r.enter(client);
    beside aborter([&] {
        for (int i = 0; i < 2000; ++i)
            r.abort();
    });
    while (!aborter.is_done())
    {
        in_memory a;
        in_memory b;
        r.attach(*a.bytes);
        r.attach(*b.bytes);
    }
    aborter.get();
}

BOOST_AUTO_TEST_CASE(sends_what_its_streams_hold_back)
{
    in_memory a;
    in_memory b;
    active_request r(server);
    r.enter(client, &a.stream);
    r.attach(*b.bytes);
    a.stream.wfile() << "of a";
    b.stream.wfile() << "of b";
    r.flush_pending();
    BOOST_TEST(a.record->output == "of a");
    BOOST_TEST(b.record->output == "of b");
}

BOOST_AUTO_TEST_CASE(what_one_stream_holds_back_is_sent_before_a_wait_for_another)
{
    in_memory a;
    in_memory b("answer\n");
    active_request r(server);
    r.enter(client, &a.stream);
    r.attach(*b.bytes);
    active_request::scope const current(&r);
    a.stream.wfile() << "one moment, please";
    std::string line;
    b.stream.read_line(line);
    BOOST_TEST(a.record->output == "one moment, please");
}

BOOST_AUTO_TEST_SUITE_END()
