// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What a handler waits for besides its stream, in a child of a fork server: matrix_waits has the
// other strategies, and a thread, before which a fork server would have to be started.

#include <socketserver/this_request.hpp>

#define BOOST_TEST_MODULE fork_server_waits

#include "support/matrix_blocking.hpp"
#include "support/matrix_cells.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <ostream>
#include <stdexcept>
#include <string>

using namespace matrix;
namespace asio = boost::asio;
namespace data = boost::unit_test::data;
namespace this_request = socketserver::this_request;
using clk = std::chrono::steady_clock;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// How a request waits.
struct wait
{
    char const* name;
    void (*f)(stream&, std::chrono::milliseconds);

    friend std::ostream& operator<<(std::ostream& out, wait const& w) { return out << w.name; }
};

wait const waits[] = {
    {"sleep_for", [](stream&, auto time) { this_request::sleep_for(time); }},
    {"await",
        [](stream& s, auto time) {
            asio::steady_timer timer(s.get_executor(), time);
            this_request::await([&](auto token) { return timer.async_wait(token); });
        }},
    {"sleep_for within blocking",
        [](stream&, auto time) {
            this_request::blocking([time] { this_request::sleep_for(time); });
        }},
};

auto const cells_of_it = cells_where(
    transports, [](strategy_side const& s) { return std::string(s.text) == "fork-server"; });

} // namespace

BOOST_DATA_TEST_CASE_F(nothing_left, one_that_waits_goes_on_in_time,
    data::make(cells_of_it) * data::make(waits), where, how)
{
    served server(where, [how](stream& s) {
        for (std::string line; s.read_line(line);)
        {
            std::chrono::milliseconds const time(std::stoi(line));
            auto const before = clk::now();
            how.f(s, time);
            s.wfile() << (clk::now() - before < time ? "early" : "in time") << '\n';
        }
    });
    auto client = server.client();
    for (auto const* ms : {"30", "0", "1"})
        BOOST_TEST(ask(client, ms) == "in time");
}

BOOST_DATA_TEST_CASE_F(nothing_left, what_is_waited_for_gives_its_result, cells_of_it, where)
{
    served server(where, brackets_by_blocking);
    auto client = server.client();
    BOOST_TEST(ask(client, "hello") == "<hello>");
    BOOST_TEST(ask(client, "throw") == the_end);
    BOOST_TEST(server.seen().error_seen.wait());
    BOOST_TEST(server.seen().last_error.read() == "thrown");
}

// ThreadSanitizer keeps back the signal that would have to interrupt the only thread.
#if !defined(SOCKETSERVER_TEST_TSAN)
BOOST_DATA_TEST_CASE_F(nothing_left, a_wait_is_ended_by_an_abort,
    data::make(cells_of_it) * data::make(waits), where, how)
{
    served server(where, [how](stream& s) {
        s.wfile() << "waiting\n";
        how.f(s, 1h);
    });
    auto client = server.client();
    BOOST_TEST(hear(client) == "waiting");
    BOOST_TEST(duration_of([&] {
        server.server().request_abort();
        server.end();
    }) < 10s);
    BOOST_TEST(hear(client) == the_end);
}
#endif
