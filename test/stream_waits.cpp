// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/stream.hpp>

#define BOOST_TEST_MODULE stream_waits
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/lasts.hpp"
#include "support/streams.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <istream>
#include <ostream>
#include <poll.h>
#include <string>
#include <string_view>

namespace asio = boost::asio;
namespace data = boost::unit_test::data;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;
using namespace support;

BOOST_AUTO_TEST_CASE(a_read_waits_no_longer_than_the_idle_limit)
{
    connected c;
    c.stream.timeout(100ms);
    char text[8];
    support::check_lasts(100ms, [&] {
        error_code ec;
        BOOST_TEST(c.stream.read_some(asio::buffer(text), ec) == 0u);
        BOOST_TEST(ec == asio::error::timed_out);
    });
    // It is of one operation: the next one may wait as long.
    c.peer().send("x");
    BOOST_TEST(receive(c.stream) == "x");
    support::check_lasts(100ms, [&] {
        BOOST_CHECK_EXCEPTION(receive(c.stream), system_error, has(asio::error::timed_out));
    });
    support::check_lasts(250ms, [] {
        connected d;
        d.stream.timeout(250ms);
        BOOST_CHECK_THROW(d.stream.rfile().get(), system_error);
    });
    c.stream.timeout(30ms);
    support::check_lasts(30ms, [&] { BOOST_CHECK_THROW(receive(c.stream), system_error); });
}

BOOST_AUTO_TEST_CASE(without_a_limit_any_more_it_waits_on)
{
    connected c;
    c.stream.timeout(20ms);
    BOOST_CHECK_THROW(receive(c.stream), system_error);
    c.stream.timeout({});
    beside reader([&] { return receive(c.stream); });
    BOOST_TEST(support::client(::dup(c.peer().descriptor())).hears_nothing());
    reader.wait_until_asleep();
    // Longer than the limit was.
    ::poll(nullptr, 0, 60);
    BOOST_TEST(!reader.is_done());
    c.peer().send("late");
    BOOST_TEST(reader.get() == "late");
}

BOOST_AUTO_TEST_CASE(a_write_waits_no_longer_than_the_idle_limit_without_progress)
{
    std::string const much(8 << 20, 'x');
    connected c(4096);
    c.stream.timeout(100ms);
    error_code ec;
    BOOST_TEST(c.stream.write_some(asio::buffer(much), ec) < much.size());
    BOOST_TEST(ec == asio::error::timed_out);
    support::check_lasts(100ms, [&] {
        c.stream.send_all(much, ec);
        BOOST_TEST(ec == asio::error::timed_out);
    });
}

BOOST_AUTO_TEST_CASE(a_slow_peer_is_no_idle_peer)
{
    std::string const much(256 << 10, 'x');
    connected c(4096);
    c.stream.timeout(150ms);
    std::atomic<bool> done{false};
    beside slow_peer([&] {
        std::size_t n = 0;
        while (!done)
        {
            n += c.peer().bytes(much.size() / 8).size();
            if (n == much.size())
                return;
            ::poll(nullptr, 0, 50);
        }
    });
    auto const begin = std::chrono::steady_clock::now();
    error_code ec;
    c.stream.send_all(much, ec);
    done = true;
    BOOST_TEST(!ec, ec.message());
    BOOST_TEST((std::chrono::steady_clock::now() - begin > 150ms));
    slow_peer.get();
}

BOOST_AUTO_TEST_CASE(the_deadline_ends_a_conversation_that_is_never_idle)
{
    connected c;
    support::check_lasts(200ms, [&] {
        std::atomic<bool> done{false};
        c.stream.timeout(1s);
        c.stream.deadline(std::chrono::steady_clock::now() + 200ms);
        beside talkative([&] {
            while (!done)
            {
                c.peer().send("x");
                ::poll(nullptr, 0, 5);
            }
        });
        error_code ec;
        char text[8];
        while (!ec)
            c.stream.read_some(asio::buffer(text), ec);
        BOOST_TEST(ec == asio::error::timed_out);
        done = true;
    });
    error_code ec;
    BOOST_TEST(c.stream.write_some(asio::buffer("x"sv), ec) == 0u);
    BOOST_TEST(ec == asio::error::timed_out);
    c.stream.deadline({});
    c.stream.send_all("x");
}

BOOST_AUTO_TEST_CASE(the_deadline_ends_a_conversation_that_only_sends)
{
    support::check_lasts(200ms, [] {
        connected c;
        beside listens([&] { return c.peer().all().size(); });
        c.stream.deadline(std::chrono::steady_clock::now() + 200ms);
        error_code ec;
        while (!ec)
            c.stream.send_all("x", ec);
        BOOST_TEST(ec == asio::error::timed_out);
        c.stream.close();
        BOOST_TEST(listens.get() > 0u);
    });
}

BOOST_AUTO_TEST_CASE(abort_wakes_a_read_that_waits)
{
    connected c;
    beside reader([&] { return receive(c.stream); });
    reader.wait_until_asleep();
    c.stream.abort();
    BOOST_CHECK_EXCEPTION(reader.get(), system_error, has(asio::error::operation_aborted));
}

BOOST_AUTO_TEST_CASE(abort_wakes_a_write_that_waits)
{
    connected c(4096);
    std::string const much(8 << 20, 'x');
    beside writer([&] { c.stream.send_all(much); });
    writer.wait_until_asleep();
    c.stream.abort();
    BOOST_CHECK_EXCEPTION(writer.get(), system_error, has(asio::error::operation_aborted));
}

BOOST_AUTO_TEST_CASE(abort_wakes_a_read_and_a_write_at_once)
{
    connected c(4096);
    std::string const much(8 << 20, 'x');
    beside writer([&] { c.stream.send_all(much); });
    beside reader([&] { return receive(c.stream); });
    writer.wait_until_asleep();
    reader.wait_until_asleep();
    c.stream.abort();
    BOOST_CHECK_EXCEPTION(writer.get(), system_error, has(asio::error::operation_aborted));
    BOOST_CHECK_EXCEPTION(reader.get(), system_error, has(asio::error::operation_aborted));
}

BOOST_DATA_TEST_CASE(after_an_abort_every_operation_fails_and_hands_nothing_out, kinds)
{
    heard c(sample, "a line that has arrived\nanother\n");
    std::string line;
    c.stream.read_line(line);
    BOOST_TEST(line == "a line that has arrived");
    c.stream.wfile() << "held back";
    c.stream.abort();
    auto const aborted = has(asio::error::operation_aborted);
    BOOST_CHECK_EXCEPTION(receive(c.stream), system_error, aborted);
    BOOST_CHECK_EXCEPTION(c.stream.read_line(line), system_error, aborted);
    BOOST_CHECK_EXCEPTION(c.stream.send_all("x"), system_error, aborted);
    BOOST_CHECK_EXCEPTION(c.stream.wfile() << "y" << std::flush, system_error, aborted);
    temporary_file const file("z");
    BOOST_CHECK_EXCEPTION(c.stream.send_file(file.descriptor()), system_error, aborted);
    BOOST_TEST(!c.stream.try_send("!"));
    BOOST_TEST(c.stream.is_open());
    BOOST_TEST(c.output() == "");
}

BOOST_AUTO_TEST_CASE(bytes_that_had_arrived_are_not_handed_out_after_an_abort)
{
    connected c;
    c.peer().send("arrived");
    pollfd there{c.stream.native_handle(), POLLIN, 0};
    BOOST_TEST_REQUIRE(::poll(&there, 1, 10000) == 1);
    c.stream.abort();
    BOOST_CHECK_EXCEPTION(receive(c.stream), system_error, has(asio::error::operation_aborted));
}

BOOST_AUTO_TEST_CASE(abort_and_close_may_race)
{
    for (int i = 0; i < 200; ++i)
    {
        connected c;
        beside aborter([&] { c.stream.abort(); });
        error_code ec;
        char text[8];
        c.stream.read_some(asio::buffer(text), ec);
        BOOST_TEST(ec == asio::error::operation_aborted);
        aborter.get();
    }
}

BOOST_AUTO_TEST_CASE(read_line_may_be_tried_again_after_a_time_limit)
{
    support::connected c;
    std::string line;
    c.stream.timeout(1ms);
    BOOST_CHECK_EXCEPTION(c.stream.read_line(line), system_error, has(asio::error::timed_out));
    c.stream.timeout(std::nullopt);
    c.peer().send("late\n");
    BOOST_TEST(c.stream.read_line(line));
    BOOST_TEST(line == "late");
}

BOOST_AUTO_TEST_CASE(try_send_takes_all_while_there_is_room_and_then_nothing)
{
    connected c(4096);
    std::string expected;
    while (c.stream.try_send("x"))
        expected += 'x';
    // It took nothing, and the stream goes on once the peer has read.
    BOOST_TEST((c.peer().bytes(expected.size()) == expected));
    BOOST_TEST(c.peer().hears_nothing());
    pollfd writable{c.stream.native_handle(), POLLOUT, 0};
    BOOST_TEST_REQUIRE(::poll(&writable, 1, 10000) == 1);
    BOOST_TEST(c.stream.try_send("more"));
    BOOST_TEST(c.stream.try_send(""));
    BOOST_TEST(c.peer().bytes(4) == "more");
}

BOOST_AUTO_TEST_CASE(try_send_aborts_the_stream_when_only_a_part_was_taken)
{
    connected c(4096);
    BOOST_TEST(!c.stream.try_send(std::string(8 << 20, 'x')));
    BOOST_CHECK_EXCEPTION(receive(c.stream), system_error, has(asio::error::operation_aborted));
    BOOST_TEST(!c.stream.try_send("x"));
}

BOOST_AUTO_TEST_CASE(try_send_is_not_refused_because_a_write_that_need_not_wait_is_under_way)
{
    support::connected c;
    constexpr int rounds = 2000;
    int refused = 0;
    std::jthread const reader([&c] { c.peer().all(); });
    {
        std::jthread const writer([&c] {
            for (int i = 0; i < rounds; ++i)
                c.stream.send_all("x");
        });
        for (int i = 0; i < rounds; ++i)
            refused += !c.stream.try_send("y");
    }
    BOOST_TEST(refused == 0);
    c.stream.shutdown_send();
}

BOOST_AUTO_TEST_CASE(try_send_takes_nothing_while_a_write_waits)
{
    connected c(4096);
    std::string const much(8 << 20, 'x');
    beside writer([&] { c.stream.send_all(much); });
    writer.wait_until_asleep();
    BOOST_TEST(!c.stream.try_send("y"));
    BOOST_TEST((c.peer().bytes(much.size()) == much));
    writer.get();
    BOOST_TEST(c.stream.try_send("z"));
    BOOST_TEST(c.peer().bytes(1) == "z");
}

BOOST_DATA_TEST_CASE(try_send_is_never_in_the_midst_of_a_message, data::make({"direct"s, "wfile"s}))
{
    connected c(65536);
    c.stream.buffer_sizes(100, 100);
    std::string const body(30000, 'a');
    std::atomic<bool> done{false};
    beside writer([&] {
        for (int i = 0; i < 100; ++i)
        {
            if (sample == "direct")
            {
                auto const message =
                    std::array{asio::buffer("["sv), asio::buffer(body), asio::buffer("]"sv)};
                c.stream.write_some(message);
            }
            else
            {
                // Far more than the buffer holds: it goes in several parts.
                auto& out = c.stream.wfile();
                out << '[';
                for (std::size_t at = 0; at < body.size(); at += 60)
                    out << std::string_view(body).substr(at, 60);
                out << ']' << std::flush;
            }
        }
        done = true;
    });
    beside intruder([&] {
        int taken = 0;
        while (!done)
        {
            if (c.stream.try_send("!"))
                ++taken;
            std::this_thread::yield();
        }
        c.stream.shutdown_send();
        return taken;
    });
    auto const text = c.peer().all();
    writer.get();
    int seen = 0;
    for (std::size_t at = 0; at < text.size();)
    {
        if (text[at] == '!')
        {
            ++seen;
            ++at;
            continue;
        }
        BOOST_TEST_REQUIRE((text.compare(at, body.size() + 2, '[' + body + ']') == 0));
        at += body.size() + 2;
    }
    BOOST_TEST(intruder.get() == seen);
}

BOOST_AUTO_TEST_CASE(try_send_on_a_stream_that_is_gone_gives_false)
{
    BOOST_TEST(!stream().try_send("x"));
    connected c;
    c.stream.close();
    BOOST_TEST(!c.stream.try_send("x"));
}

BOOST_AUTO_TEST_CASE(sigpipe_is_never_seen)
{
    support::counted_signal const sigpipe(SIGPIPE);
    temporary_file const file("some text");
    connected c;
    c.peer().reset();
    error_code ec;
    char text[8];
    c.stream.read_some(asio::buffer(text), ec);
    BOOST_TEST(says_peer_gone(ec));
    for (int i = 0; i < 3; ++i)
    {
        ec = {};
        c.stream.write_some(asio::buffer("x"sv), ec);
        BOOST_TEST(says_peer_gone(ec));
        c.stream.write_some(std::array{asio::buffer("x"sv), asio::buffer("y"sv)}, ec);
        BOOST_TEST(says_peer_gone(ec));
        c.stream.send_file(file.descriptor(), 0, 9, ec);
        BOOST_TEST(says_peer_gone(ec));
        BOOST_TEST(!c.stream.try_send("x"));
    }
    BOOST_CHECK_THROW(c.stream.wfile() << "x" << std::flush, system_error);
    BOOST_TEST(sigpipe.count() == 0);
}

BOOST_AUTO_TEST_CASE(signals_that_interrupt_are_not_seen)
{
    support::counted_signal const storm(SIGUSR1);
    connected c(4096);
    std::string const much(2 << 20, 'x');
    beside writer([&] { return c.stream.write_some(asio::buffer(much)); });
    beside reader([&] { return receive(c.stream); });
    for (int i = 0; i < 200; ++i)
    {
        writer.wait_until_asleep();
        reader.wait_until_asleep();
        writer.signal(SIGUSR1);
        reader.signal(SIGUSR1);
        if (i % 10 == 0)
            c.peer().bytes(4096);
    }
    c.peer().send("an answer");
    BOOST_TEST(reader.get() == "an answer");
    auto const rest = much.size() - 20 * 4096;
    BOOST_TEST(c.peer().bytes(rest).size() == rest);
    BOOST_TEST(writer.get() == much.size());
    BOOST_TEST(storm.count() > 0);
}

BOOST_AUTO_TEST_CASE(a_limit_holds_in_a_storm_of_signals)
{
    support::counted_signal const storm(SIGUSR1);
    connected c;
    support::check_lasts(200ms, [&] {
        c.stream.timeout(200ms);
        beside reader([&] {
            error_code ec;
            char text[8];
            c.stream.read_some(asio::buffer(text), ec);
            return ec;
        });
        while (!reader.is_done())
        {
            reader.signal(SIGUSR1);
            ::poll(nullptr, 0, 5);
        }
        BOOST_TEST(reader.get() == asio::error::timed_out);
    });
}
