// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Every strategy over every transport: what a handler waits for besides its stream.  With a fork
// server: strategy/fork_server_waits.

#include <socketserver/this_request.hpp>

#define BOOST_TEST_MODULE matrix_waits

#include "support/matrix_blocking.hpp"
#include "support/matrix_cells.hpp"

#include <boost/asio/connect_pipe.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <stdexcept>
#include <string>

using namespace matrix;
namespace asio = boost::asio;
namespace error = boost::asio::error;
namespace this_request = socketserver::this_request;
using boost::system::error_code;
using clk = std::chrono::steady_clock;

namespace {

// The thread that completes operations is one of those that are made once and kept.
struct first_await : first_use
{
    first_await()
    {
        asio::steady_timer timer(this_request::get_executor());
        this_request::await([&](auto token) { return timer.async_wait(token); });
    }
};

} // namespace

BOOST_TEST_GLOBAL_FIXTURE(first_await);

BOOST_DATA_TEST_CASE_F(nothing_left, one_that_sleeps_goes_on_in_time, beside_threads(cells), where)
{
    served server(where, [](stream& s) {
        for (std::string line; s.read_line(line);)
        {
            auto const before = clk::now();
            this_request::sleep_for(std::chrono::milliseconds(std::stoi(line)));
            bool const early = clk::now() - before < std::chrono::milliseconds(std::stoi(line));
            s.wfile() << (early ? "early" : "in time") << '\n';
        }
    });
    auto client = server.client();
    for (auto const* ms : {"30", "0", "-1", "1"})
        BOOST_TEST(ask(client, ms) == "in time");
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, others_are_served_while_one_sleeps, beside_threads(cells_of_several), where)
{
    served server(where, [](stream& s) {
        std::string line;
        s.read_line(line);
        s.wfile() << line << '\n';
        if (line == "sleep")
            this_request::sleep_for(1h);
    });
    auto sleeper = server.client();
    BOOST_TEST(ask(sleeper, "sleep") == "sleep");
    auto other = server.client();
    BOOST_TEST(ask(other, "hello") == "hello");
    server.server().request_abort();
    server.end();
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, what_an_operation_gives_is_returned, beside_threads(cells), where)
{
    served server(where, [](stream& s) {
        asio::readable_pipe in(s.get_executor());
        asio::writable_pipe out(s.get_executor());
        asio::connect_pipe(in, out);
        for (std::string line; s.read_line(line);)
        {
            out.write_some(asio::buffer(line));
            std::string text(100, '\0');
            text.resize(this_request::await(
                [&](auto token) { return in.async_read_some(asio::buffer(text), token); }));
            s.wfile() << text << '\n';
        }
        out.close();
        char byte;
        error_code ec;
        this_request::await(
            [&](auto token) { return in.async_read_some(asio::buffer(&byte, 1), token); }, ec);
        s.wfile() << (ec == error::eof ? "the end" : ec.message()) << '\n';
    });
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "hello");
    BOOST_TEST(ask(client, "again") == "again");
    client.shutdown_send();
    BOOST_TEST(hear(client) == "the end");
}

BOOST_DATA_TEST_CASE_F(nothing_left, what_an_operation_says_is_thrown, beside_threads(cells), where)
{
    served server(where, [](stream& s) {
        asio::readable_pipe const closed(s.get_executor());
        asio::readable_pipe in(s.get_executor());
        char byte;
        this_request::await(
            [&](auto token) { return in.async_read_some(asio::buffer(&byte, 1), token); });
    });
    auto client = server.client();
    BOOST_TEST(hear(client) == the_end);
    BOOST_TEST(server.seen().error_seen.wait());
    BOOST_TEST(server.seen().last_error.read() == make_error_code(error::bad_descriptor).message());
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, what_a_blocking_function_gives_is_returned, beside_threads(cells), where)
{
    served server(where, brackets_by_blocking);
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "<hello>");
    BOOST_TEST(ask(client, "again") == "<again>");
    BOOST_TEST(ask(client, "throw") == the_end);
    BOOST_TEST(server.seen().error_seen.wait());
    BOOST_TEST(server.seen().last_error.read() == "thrown");
}

namespace {

// How a request waits until it is aborted.
struct wait
{
    char const* name;
    void (*f)(stream&);

    friend std::ostream& operator<<(std::ostream& out, wait const& w) { return out << w.name; }
};

wait const waits[] = {
    {"sleep_for", [](stream&) { this_request::sleep_for(1h); }},
    {"await",
        [](stream& s) {
            asio::steady_timer timer(s.get_executor(), 1h);
            this_request::await([&](auto token) { return timer.async_wait(token); });
        }},
    {"sleep_for within blocking",
        [](stream&) { this_request::blocking([] { this_request::sleep_for(1h); }); }},
};

} // namespace

BOOST_DATA_TEST_CASE_F(
    nothing_left, a_wait_is_ended_by_an_abort, beside_threads(cells_to_abort) * waits, where, how)
{
    served server(where, [how](stream& s) {
        // Not by line: it is held back until the wait.
        s.wfile() << "waiting\n";
        how.f(s);
    });
    auto client = server.client();
    BOOST_TEST(hear(client) == "waiting");
    BOOST_TEST(duration_of([&] {
        server.server().request_abort();
        server.end();
    }) < 10s);
    BOOST_TEST(hear(client) == the_end);
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, no_wait_begins_after_an_abort, beside_threads(cells_to_abort), where)
{
    shared<note> all;
    shared<gate> ended;
    served server(where, [all = &*all, ended = &*ended](stream& s) {
        s.wfile() << "waiting\n";
        error_code first;
        this_request::sleep_for(1h, first);
        std::string text = first.message();
        for (auto const& how : waits)
            try
            {
                how.f(s);
                text += ", none";
            }
            catch (boost::system::system_error const& e)
            {
                text += ", " + e.code().message();
            }
        int called = 0;
        try
        {
            this_request::blocking([&] { ++called; });
        }
        catch (boost::system::system_error const& e)
        {
            text += ", " + e.code().message();
        }
        all->write(text + ", " + std::to_string(called));
        ended->open();
    });
    auto client = server.client();
    BOOST_TEST(hear(client) == "waiting");
    server.server().request_abort();
    server.end();
    BOOST_TEST(ended->wait());
    auto const aborted = make_error_code(error::operation_aborted).message();
    BOOST_TEST(all->read() ==
               aborted + ", " + aborted + ", " + aborted + ", " + aborted + ", " + aborted + ", 0");
}
