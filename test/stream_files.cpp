// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/stream.hpp>

#define BOOST_TEST_MODULE stream_files
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/streams.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/system/system_error.hpp>

#include <fcntl.h>
#include <istream>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unistd.h>

namespace asio = boost::asio;
namespace data = boost::unit_test::data;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;
using namespace support;

BOOST_DATA_TEST_CASE(rfile_reads_up_to_the_peers_end, kinds)
{
    heard c(sample, "one\ntwo\n3 4 five");
    auto& in = c.stream.rfile();
    std::string line;
    BOOST_TEST(!!std::getline(in, line));
    BOOST_TEST(line == "one");
    BOOST_TEST(!!std::getline(in, line));
    BOOST_TEST(line == "two");
    int a = 0;
    int b = 0;
    std::string rest;
    in >> a >> b >> rest;
    BOOST_TEST(a == 3);
    BOOST_TEST(b == 4);
    BOOST_TEST(rest == "five");
    BOOST_TEST(in.eof());
    BOOST_TEST(!std::getline(in, line));
    BOOST_TEST(!in.bad());
}

BOOST_DATA_TEST_CASE(rfile_and_direct_reads_share_what_was_read_ahead, kinds)
{
    heard c(sample, "first\nsecond\nthird");
    std::string line;
    std::getline(c.stream.rfile(), line);
    char text[4];
    BOOST_TEST(c.stream.read_some(asio::buffer(text)) == 4u);
    BOOST_TEST(std::string(text, 4) == "seco");
    std::getline(c.stream.rfile(), line);
    BOOST_TEST(line == "nd");
    std::string rest;
    error_code ec;
    asio::read(c.stream, asio::dynamic_buffer(rest), ec);
    BOOST_TEST(rest == "third");
}

BOOST_AUTO_TEST_CASE(rbufsize_0_reads_nothing_ahead)
{
    connected c;
    c.stream.buffer_sizes(0, 8192);
    c.peer().send("first\nsecond\n");
    std::string line;
    std::getline(c.stream.rfile(), line);
    BOOST_TEST(line == "first");
    char text[64];
    auto const n = ::recv(c.stream.native_handle(), text, sizeof text, 0);
    BOOST_TEST(std::string(text, static_cast<std::size_t>(n)) == "second\n");
}

BOOST_DATA_TEST_CASE(rfile_reads_large_blocks,
    kinds* data::make({std::size_t(0), std::size_t(5), std::size_t(8192)}), kind, rbufsize)
{
    std::string input;
    for (int i = 0; i < 5000; ++i)
        input += std::to_string(i);
    heard c(kind, input);
    c.stream.buffer_sizes(rbufsize, 8192);
    std::string text(input.size() + 1, '\0');
    auto& in = c.stream.rfile();
    in.read(text.data(), 10);
    BOOST_TEST(in.gcount() == 10);
    in.read(text.data() + 10, static_cast<std::streamsize>(text.size() - 10));
    text.resize(10 + static_cast<std::size_t>(in.gcount()));
    BOOST_TEST((text == input));
    BOOST_TEST(in.eof());
}

BOOST_AUTO_TEST_CASE(a_buffer_as_large_as_can_be_said_is_as_large_as_makes_sense)
{
    auto const record = std::make_shared<memory_transport::record>();
    stream s(std::make_unique<memory_transport>("line\n", record));
    s.buffer_sizes(std::size_t(-1), std::size_t(-1));
    std::string line;
    BOOST_TEST(s.read_line(line));
    BOOST_TEST(line == "line");
    s.wfile() << "answer" << std::flush;
    BOOST_TEST(record->output == "answer");
}

BOOST_AUTO_TEST_CASE(wbufsize_0_sends_every_insertion_at_once)
{
    auto record = std::make_shared<memory_transport::record>();
    stream s(std::make_unique<memory_transport>("", record));
    s.buffer_sizes(8192, 0);
    s.wfile() << "one";
    BOOST_TEST(record->output == "one");
    s.wfile() << ' ' << 2;
    BOOST_TEST(record->output == "one 2");
    s.wfile().put('3');
    BOOST_TEST(record->output == "one 23");
}

BOOST_DATA_TEST_CASE(wfile_sends_what_it_is_given_in_order_whatever_its_size,
    data::make({std::size_t(0), std::size_t(1), std::size_t(2), std::size_t(7), std::size_t(64),
        std::size_t(8192)}))
{
    auto record = std::make_shared<memory_transport::record>();
    stream s(std::make_unique<memory_transport>("", record));
    s.buffer_sizes(8192, sample);
    std::string expected;
    for (std::size_t n = 0; n < 200; ++n)
    {
        std::string const piece(n, static_cast<char>('a' + n % 26));
        s.wfile() << piece;
        s.wfile().put('|');
        expected += piece + '|';
        BOOST_TEST(record->output.size() + sample + 1 > expected.size());
    }
    s.wfile() << std::flush;
    BOOST_TEST(record->output == expected);
}

BOOST_DATA_TEST_CASE(what_is_pending_is_sent_before_anything_that_waits, data::xrange(7))
{
    auto record = std::make_shared<memory_transport::record>();
    stream s(std::make_unique<memory_transport>("line\n", record));
    temporary_file const file("");
    s.wfile() << "pending";
    BOOST_TEST(record->output == "");
    std::string line;
    switch (sample)
    {
    case 0:
        s.rfile().get();
        break;
    case 1:
        std::getline(s.rfile(), line);
        break;
    case 2:
        receive(s);
        break;
    case 3:
        s.read_line(line);
        break;
    case 4:
        s.send_file(file.descriptor());
        break;
    case 5:
        s.shutdown_send();
        break;
    case 6:
        s.write_some(asio::buffer(""sv));
        s.write_some(asio::buffer("!"sv));
        record->output.pop_back();
        break;
    }
    BOOST_TEST(record->output == "pending");
}

BOOST_AUTO_TEST_CASE(a_dialogue_needs_no_flush)
{
    connected c;
    beside caller([&] {
        c.peer().line();
        c.peer().send("blue\n");
        auto const last = c.peer().line();
        c.peer().end();
        return last;
    });
    std::string answer;
    c.stream.wfile() << "your favourite colour?\n";
    std::getline(c.stream.rfile(), answer);
    c.stream.wfile() << "so it is " << answer << '\n';
    BOOST_TEST(c.stream.rfile().get() == std::char_traits<char>::eof());
    BOOST_TEST(caller.get() == "so it is blue");
}

BOOST_DATA_TEST_CASE(direct_writes_keep_the_order, kinds)
{
    heard c(sample, "");
    c.stream.wfile() << "1";
    c.stream.send_all("2");
    c.stream.wfile() << "3";
    c.stream.write_some(asio::buffer("4"sv));
    c.stream.wfile() << "5" << std::flush << "6";
    temporary_file const file("7");
    c.stream.send_file(file.descriptor());
    BOOST_TEST(c.output() == "1234567");
}

BOOST_DATA_TEST_CASE(reads_lines_of_both_ends_and_a_last_one_without, kinds)
{
    heard c(sample, "lf\ncrlf\r\n\n\r\na\rb\rc\r\r\nlast");
    std::string line = "old";
    for (auto const* expected : {"lf", "crlf", "", "", "a\rb\rc\r", "last"})
    {
        BOOST_TEST(c.stream.read_line(line));
        BOOST_TEST(line == expected);
    }
    BOOST_TEST(!c.stream.read_line(line));
    BOOST_TEST(line == "");
}

BOOST_DATA_TEST_CASE(bounds_a_line, data::make({std::size_t(0), std::size_t(1), std::size_t(3)}))
{
    auto const reads = [piece = sample](std::string const& input, std::size_t limit) {
        stream s(std::make_unique<memory_transport>(input, nullptr, 0, piece));
        std::string line;
        s.read_line(line, limit);
        return line;
    };
    auto const too_long = has(asio::error::message_size);
    BOOST_TEST(reads("12345\n", 5) == "12345");
    BOOST_TEST(reads("12345\r\n", 5) == "12345");
    BOOST_TEST(reads("12345", 5) == "12345");
    BOOST_TEST(reads("\n", 0) == "");
    BOOST_TEST(reads("\r\n", 0) == "");
    BOOST_TEST(reads("", 0) == "");
    BOOST_TEST(reads("1\n", std::string::npos) == "1");
    BOOST_TEST(reads("\n", std::string::npos) == "");
    BOOST_CHECK_EXCEPTION(reads("123456\n", 5), system_error, too_long);
    BOOST_CHECK_EXCEPTION(reads("123456", 5), system_error, too_long);
    BOOST_CHECK_EXCEPTION(reads("12345\r6\n", 5), system_error, too_long);
    BOOST_CHECK_EXCEPTION(reads("12345\r\r\n", 5), system_error, too_long);
    BOOST_CHECK_EXCEPTION(reads("12345\r", 5), system_error, too_long);
    BOOST_CHECK_EXCEPTION(reads("1\n", 0), system_error, too_long);
}

BOOST_AUTO_TEST_CASE(a_line_without_end_is_not_collected_for_ever)
{
    connected c;
    beside flood([&] {
        std::string const piece(65536, 'x');
        for (int i = 0; i < 16; ++i)
            c.peer().send(piece);
    });
    std::string line;
    BOOST_CHECK_EXCEPTION(c.stream.read_line(line), system_error, has(asio::error::message_size));
    BOOST_TEST(line.size() <= 65536 + 8192);
    c.stream.close();
    try
    {
        flood.get();
    }
    catch (std::system_error const&)
    {
        // Its peer has hung up on it.
    }
}

BOOST_AUTO_TEST_CASE(rfile_throws_what_goes_wrong_and_again)
{
    auto const reset = has(asio::error::connection_reset);
    auto s = failing("one\ntwo\n", 2);
    s.buffer_sizes(4, 8192);
    std::string line;
    BOOST_TEST(!!std::getline(s.rfile(), line));
    BOOST_CHECK_EXCEPTION(std::getline(s.rfile(), line), system_error, reset);
    BOOST_CHECK_EXCEPTION(std::getline(s.rfile(), line), system_error, reset);
    BOOST_CHECK_EXCEPTION(s.rfile() >> line, system_error, reset);
    BOOST_CHECK_EXCEPTION(s.read_line(line), system_error, reset);
}

BOOST_AUTO_TEST_CASE(wfile_throws_what_goes_wrong_and_again)
{
    auto const reset = has(asio::error::connection_reset);
    auto s = failing("", 2);
    s.buffer_sizes(8192, 4);
    s.wfile() << "12345";
    s.wfile() << "ok";
    BOOST_CHECK_EXCEPTION(s.wfile() << std::flush, system_error, reset);
    BOOST_CHECK_EXCEPTION(s.wfile() << 'x', system_error, reset);
    BOOST_CHECK_EXCEPTION(s.wfile() << "more than it holds", system_error, reset);
    BOOST_CHECK_EXCEPTION(s.wfile().flush(), system_error, reset);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_sent_before_a_read_is_thrown_by_the_read)
{
    auto s = failing("input", 1);
    s.wfile() << "pending";
    BOOST_CHECK_EXCEPTION(s.rfile().get(), system_error, has(asio::error::connection_reset));
}

BOOST_AUTO_TEST_CASE(an_error_that_the_standard_library_has_caught_is_thrown_after_handle)
{
    bool reached = false;
    // Neither a failing read nor a failing write is seen by this statement.
    for (std::size_t n = 1;; ++n)
    {
        auto record = std::make_shared<memory_transport::record>();
        stream s(std::make_unique<memory_transport>("some input", record, n, 4));
        s.buffer_sizes(4, 2);
        bool thrown = false;
        try
        {
            handle(s, [&](stream& in) {
                in.buffer_sizes(4, 2);
                in.wfile() << in.rfile().rdbuf();
                reached = true;
            });
        }
        catch (system_error const& e)
        {
            thrown = true;
            BOOST_TEST(e.code() == asio::error::connection_reset);
        }
        if (record->operations < n)
        {
            BOOST_TEST(!thrown);
            BOOST_TEST(record->output == "some input");
            break;
        }
        // The very last write is made when the handler has ended, where an error is only logged.
        BOOST_TEST((thrown || record->output.size() >= 8), "operation " << n);
    }
    BOOST_TEST(reached);
}

BOOST_AUTO_TEST_CASE(an_error_that_the_handler_has_seen_is_not_thrown_again)
{
    auto s = failing("", 1);
    handle(s, [](stream& in) {
        BOOST_CHECK_THROW(in.wfile() << "x" << std::flush, system_error);
        BOOST_CHECK_THROW(in.rfile().get(), system_error);
    });
    auto t = failing("", 1);
    handle(t, [](stream& in) {
        in.wfile() << "x";
        error_code ec;
        char text[8];
        in.read_some(asio::buffer(text), ec);
        BOOST_TEST(ec == asio::error::connection_reset);
    });
}

BOOST_AUTO_TEST_CASE(an_error_with_unitbuf_set_does_not_end_the_program)
{
    auto s = failing("", 2);
    BOOST_CHECK_EXCEPTION(handle(s,
                              [](stream& in) {
                                  in.wfile() << std::unitbuf << "sent";
                                  in.wfile() << "not sent";
                              }),
        system_error, has(asio::error::connection_reset));
    auto t = failing("", 1);
    BOOST_CHECK_EXCEPTION(handle(t,
                              [](stream& in) {
                                  in.wfile() << std::unitbuf << "not sent";
                                  in.wfile() << "nor this" << std::flush;
                              }),
        system_error, has(asio::error::connection_reset));
}

BOOST_AUTO_TEST_CASE(an_exception_of_the_handler_is_not_lost_in_wfile)
{
    connected c;
    BOOST_CHECK_THROW(handle(c.stream,
                          [](stream& s) {
                              s.wfile() << "written before";
                              throw std::runtime_error("of the handler");
                          }),
        std::runtime_error);
    BOOST_TEST(c.peer().bytes(14) == "written before");
}
