// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/memory_transport.hpp>

#define BOOST_TEST_MODULE memory_transport
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/descriptors.hpp"

#include <socketserver/ready.hpp>
#include <socketserver/request_handler.hpp>
#include <socketserver/stream.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/system/system_error.hpp>

#include <array>
#include <chrono>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

namespace asio = boost::asio;
namespace data = boost::unit_test::data;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;

namespace {

// Asks for two names and greets both.
class host : public stream_request_handler
{
    void setup() override { wfile() << "who are you?\n"; }

    void handle() override
    {
        std::string name;
        for (int i = 0; i < 2 && std::getline(rfile(), name); ++i)
            wfile() << "hello, " << name << '\n';
    }

    void finish() override { wfile() << "goodbye\n"; }
};

auto const whole_dialogue = "who are you?\nhello, Ann\nhello, Bob\ngoodbye\n"s;

void run(stream& s)
{
    ready<tcp_server> server(defer_activation, "127.0.0.1:0", handler<host>);
    handler_factory<stream>(handler<host>).run(s, endpoint("127.0.0.1:1"), server);
}

} // namespace

BOOST_DATA_TEST_CASE(carries_a_whole_conversation, data::make({0, 1, 3}))
{
    auto record = std::make_shared<memory_transport::record>();
    {
        stream s(std::make_unique<memory_transport>(
            "Ann\nBob\n", record, 0, static_cast<std::size_t>(sample)));
        run(s);
        BOOST_TEST(!record->closed);
    }
    BOOST_TEST(record->output == whole_dialogue);
    BOOST_TEST(record->closed);
    BOOST_TEST(!record->send_shut_down);
}

BOOST_AUTO_TEST_CASE(hands_out_no_more_than_a_piece)
{
    stream s(std::make_unique<memory_transport>("abcde", nullptr, 0, 2));
    char a[1];
    char b[4];
    error_code ec;
    for (auto const* expected : {"ab", "cd", "e"})
    {
        auto const n = s.read_some(std::array{asio::buffer(a), asio::buffer(b)}, ec);
        BOOST_TEST(std::string(a, 1) + std::string(b, n - 1) == expected);
    }
    BOOST_TEST(s.read_some(asio::buffer(b), ec) == 0u);
    BOOST_TEST(ec == asio::error::eof);
}

BOOST_AUTO_TEST_CASE(counts_receives_and_sends_and_fails_from_the_nth_on)
{
    auto record = std::make_shared<memory_transport::record>();
    stream s(std::make_unique<memory_transport>("ab", record, 3, 1));
    char c;
    error_code ec;
    s.read_some(asio::buffer(&c, 1), ec);
    BOOST_TEST(!ec);
    s.send_all("x", ec);
    BOOST_TEST(!ec);
    BOOST_TEST(record->operations == 2u);
    s.read_some(asio::buffer(&c, 1), ec);
    BOOST_TEST(ec == asio::error::connection_reset);
    s.send_all("y", ec);
    BOOST_TEST(ec == asio::error::connection_reset);
    BOOST_TEST(!s.try_send("z"));
    BOOST_TEST(record->output == "x");
}

BOOST_AUTO_TEST_CASE(knows_limits_interrupts_and_the_end)
{
    auto record = std::make_shared<memory_transport::record>();
    stream s(std::make_unique<memory_transport>("ab", record));
    char c;
    error_code ec;
    s.deadline(std::chrono::steady_clock::now() - 1s);
    s.read_some(asio::buffer(&c, 1), ec);
    BOOST_TEST(ec == asio::error::timed_out);
    s.send_all("x", ec);
    BOOST_TEST(ec == asio::error::timed_out);
    s.deadline(-1s);
    s.send_all("x", ec);
    BOOST_TEST(ec == asio::error::timed_out);
    s.deadline(10min);
    s.send_all("", ec);
    BOOST_TEST(!ec);
    s.deadline(std::chrono::nanoseconds::max());
    s.send_all("", ec);
    BOOST_TEST(!ec);
    s.deadline({});
    s.shutdown_send();
    BOOST_TEST(record->send_shut_down);
    s.abort();
    s.read_some(asio::buffer(&c, 1), ec);
    BOOST_TEST(ec == asio::error::operation_aborted);
    BOOST_TEST(s.native_handle() == -1);
    BOOST_TEST(s.release() == -1);
    BOOST_TEST(record->closed);
    BOOST_TEST(record->output == "");
}

BOOST_AUTO_TEST_CASE(fails_with_the_error_that_was_asked_for)
{
    auto record = std::make_shared<memory_transport::record>();
    stream s(std::make_unique<memory_transport>("ab", record, 2, 1, asio::error::timed_out));
    char c;
    error_code ec;
    s.read_some(asio::buffer(&c, 1), ec);
    BOOST_TEST(!ec);
    s.read_some(asio::buffer(&c, 1), ec);
    BOOST_TEST(ec == asio::error::timed_out);
    s.send_all("x", ec);
    BOOST_TEST(ec == asio::error::timed_out);
}

BOOST_AUTO_TEST_CASE(has_the_peer_that_it_was_given)
{
    auto bytes = std::make_unique<memory_transport>("");
    BOOST_TEST(!bytes->peer_credentials());
    bytes->peer = credentials{1, 1000, 100};
    stream const s(std::move(bytes));
    auto const who = s.peer_credentials();
    BOOST_TEST_REQUIRE(who.has_value());
    BOOST_TEST(who->pid == 1);
    BOOST_TEST(who->uid == 1000u);
    BOOST_TEST(who->gid == 100u);
}

// Whichever operation fails, the handler ends with that error and nothing is left open.
BOOST_AUTO_TEST_CASE(every_operation_of_a_handler_may_fail)
{
    support::no_descriptor_left const nothing;
    std::size_t n = 1;
    for (;; ++n)
    {
        auto record = std::make_shared<memory_transport::record>();
        bool thrown = false;
        {
            stream s(std::make_unique<memory_transport>("Ann\nBob\n", record, n, 4));
            try
            {
                run(s);
            }
            catch (system_error const& e)
            {
                thrown = true;
                BOOST_TEST(e.code() == asio::error::connection_reset);
            }
        }
        BOOST_TEST(record->closed);
        BOOST_TEST(whole_dialogue.starts_with(record->output));
        if (record->operations < n)
        {
            BOOST_TEST(!thrown);
            BOOST_TEST(record->output == whole_dialogue);
            break;
        }
        // Where the last one fails, which is made when the handler has ended, that is only logged.
        BOOST_TEST((thrown || record->output + "hello, Bob\ngoodbye\n" == whole_dialogue),
            "operation " << n << " after: " << record->output);
    }
    // A question, a name, a greeting, a name, and all the rest.
    BOOST_TEST(n == 6u);
}
