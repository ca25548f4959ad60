// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/stream.hpp>

#define BOOST_TEST_MODULE stream
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/streams.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <chrono>
#include <fcntl.h>
#include <istream>
#include <memory>
#include <netinet/tcp.h>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <unistd.h>
#include <utility>
#include <vector>

namespace asio = boost::asio;
namespace data = boost::unit_test::data;
namespace errc = boost::system::errc;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;
using namespace support;

static_assert(!std::is_copy_constructible_v<stream>);
static_assert(std::is_nothrow_move_constructible_v<stream>);
static_assert(std::is_nothrow_move_assignable_v<stream>);

BOOST_DATA_TEST_CASE(reads_some_bytes_by_both_forms, kinds)
{
    heard c(sample, "abcdef");
    error_code ec = asio::error::eof;
    char text[3];
    BOOST_TEST(c.stream.read_some(asio::buffer(text), ec) == 3u);
    BOOST_TEST(!ec);
    BOOST_TEST(std::string(text, 3) == "abc");
    BOOST_TEST(c.stream.read_some(asio::buffer(text)) == 3u);
    BOOST_TEST(std::string(text, 3) == "def");
}

BOOST_DATA_TEST_CASE(reads_into_a_sequence_of_buffers, kinds)
{
    heard c(sample, "abcdef");
    char a[2];
    char b[1];
    char d[9];
    auto const buffers =
        std::array{asio::buffer(a), asio::mutable_buffer(), asio::buffer(b), asio::buffer(d)};
    BOOST_TEST(c.stream.read_some(buffers) == 6u);
    BOOST_TEST(std::string(a, 2) == "ab");
    BOOST_TEST(std::string(b, 1) == "c");
    BOOST_TEST(std::string(d, 3) == "def");
}

BOOST_DATA_TEST_CASE(reads_nothing_where_there_is_no_room, kinds)
{
    heard c(sample, "a");
    error_code ec = asio::error::eof;
    BOOST_TEST(c.stream.read_some(asio::mutable_buffer(), ec) == 0u);
    BOOST_TEST(!ec);
    BOOST_TEST(receive(c.stream) == "a");
}

BOOST_DATA_TEST_CASE(says_eof_again_and_again, kinds)
{
    heard c(sample, "");
    char text[3];
    error_code ec;
    for (int i = 0; i < 3; ++i)
    {
        BOOST_TEST(c.stream.read_some(asio::buffer(text), ec) == 0u);
        BOOST_TEST(ec == asio::error::eof);
        BOOST_CHECK_EXCEPTION(receive(c.stream), system_error, has(asio::error::eof));
    }
}

BOOST_DATA_TEST_CASE(writes_by_both_forms_and_all_of_a_sequence, kinds)
{
    heard c(sample, "");
    error_code ec = asio::error::eof;
    auto const buffers =
        std::array{asio::buffer("ab"sv), asio::const_buffer(), asio::buffer("cde"sv)};
    BOOST_TEST(c.stream.write_some(buffers, ec) == 5u);
    BOOST_TEST(!ec);
    BOOST_TEST(c.stream.write_some(asio::buffer("f"sv)) == 1u);
    BOOST_TEST(c.stream.write_some(asio::const_buffer()) == 0u);
    c.stream.send_all("gh");
    ec = asio::error::eof;
    c.stream.send_all("i", ec);
    BOOST_TEST(!ec);
    BOOST_TEST(c.output() == "abcdefghi");
}

BOOST_DATA_TEST_CASE(is_a_stream_to_asio, kinds)
{
    heard c(sample, "one line\nand the rest");
    std::string text;
    auto const n = asio::read_until(c.stream, asio::dynamic_buffer(text), '\n');
    BOOST_TEST(text.substr(0, n) == "one line\n");
    error_code ec;
    asio::read(c.stream, asio::dynamic_buffer(text), ec);
    BOOST_TEST(ec == asio::error::eof);
    BOOST_TEST(text == "one line\nand the rest");

    // More buffers than one system call takes.
    std::vector<asio::const_buffer> buffers(100, asio::buffer("0123456789"sv));
    BOOST_TEST(asio::write(c.stream, buffers) == 1000u);
    BOOST_TEST(&c.stream.lowest_layer() == &c.stream);
    BOOST_TEST(c.stream.get_executor().target_type().name() != ""s);
    std::string expected;
    for (int i = 0; i < 100; ++i)
        expected += "0123456789";
    BOOST_TEST(c.output() == expected);
}

BOOST_DATA_TEST_CASE(sends_much_more_than_fits, kinds)
{
    heard c(sample, "");
    std::string const much(8 << 20, 'x');
    if (sample == "memory")
    {
        BOOST_TEST(c.stream.write_some(asio::buffer(much)) == much.size());
        return;
    }
    connected with(4096);
    beside writer([&] { return with.stream.write_some(asio::buffer(much)); });
    BOOST_TEST((with.peer().bytes(much.size()) == much));
    BOOST_TEST(writer.get() == much.size());
}

BOOST_AUTO_TEST_CASE(half_closes_and_reads_on)
{
    connected c;
    c.stream.wfile() << "held back";
    c.stream.shutdown_send();
    BOOST_TEST(c.peer().all() == "held back");
    c.peer().send("still here");
    BOOST_TEST(receive(c.stream) == "still here");
    error_code ec;
    c.stream.send_all("too late", ec);
    BOOST_TEST(ec == asio::error::broken_pipe);
}

BOOST_AUTO_TEST_CASE(says_what_went_wrong_when_the_peer_resets)
{
    connected c;
    c.peer().reset();
    BOOST_CHECK_EXCEPTION(receive(c.stream), system_error, has(asio::error::connection_reset));
}

BOOST_AUTO_TEST_CASE(one_thread_reads_while_another_writes)
{
    constexpr int lines = 2000;
    connected c;
    // The peer sends back what comes.
    beside peer([&] {
        for (int i = 0; i < 2 * lines; ++i)
            c.peer().send(c.peer().line() + '\n');
    });
    std::string line;
    {
        beside writer([&] {
            for (int i = 0; i < lines; ++i)
                c.stream.write_some(asio::buffer("a line\n"sv));
        });
        for (int i = 0; i < lines; ++i)
        {
            std::getline(c.stream.rfile(), line);
            BOOST_TEST_REQUIRE(line == "a line");
        }
        writer.get();
    }
    beside writer([&] {
        for (int i = 0; i < lines; ++i)
            c.stream.wfile() << "a" << ' ' << "line" << '\n' << std::flush;
    });
    for (int i = 0; i < lines; ++i)
    {
        BOOST_TEST_REQUIRE(c.stream.read_line(line));
        BOOST_TEST_REQUIRE(line == "a line");
    }
    writer.get();
    peer.get();
}

BOOST_AUTO_TEST_CASE(a_second_writer_is_told_so)
{
    connected c(4096);
    std::string const much(8 << 20, 'x');
    beside writer([&] { c.stream.send_all(much); });
    writer.wait_until_asleep();
    error_code ec;
    c.stream.write_some(asio::buffer("y"sv), ec);
    BOOST_TEST(ec == asio::error::in_progress);
    BOOST_TEST((c.peer().bytes(much.size()) == much));
    writer.get();
    BOOST_TEST(c.peer().hears_nothing());
}

BOOST_DATA_TEST_CASE(sends_a_part_of_a_file, kinds)
{
    heard c(sample, "");
    temporary_file const file("0123456789");
    c.stream.wfile() << "before ";
    BOOST_TEST(c.stream.send_file(file.descriptor(), 2, 3) == 3u);
    BOOST_TEST(c.stream.send_file(file.descriptor(), 8, 100) == 2u);
    BOOST_TEST(c.stream.send_file(file.descriptor(), 10) == 0u);
    BOOST_TEST(c.stream.send_file(file.descriptor(), 0, 0) == 0u);
    BOOST_TEST(c.stream.send_file(file.descriptor()) == 10u);
    c.stream.send_all(" after");
    BOOST_TEST(c.output() == "before 23489"
                             "0123456789 after");
}

BOOST_DATA_TEST_CASE(sends_from_a_pipe, kinds)
{
    heard c(sample, "");
    int ends[2];
    BOOST_TEST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    BOOST_TEST_REQUIRE(::write(ends[1], "0123456789", 10) == 10);
    ::close(ends[1]);
    error_code ec;
    BOOST_TEST(c.stream.send_file(ends[0], 0, 4, ec) == 4u);
    BOOST_TEST(!ec, ec.message());
    BOOST_TEST(c.stream.send_file(ends[0], 0, 100, ec) == 6u);
    BOOST_TEST(!ec, ec.message());
    ::close(ends[0]);
    BOOST_TEST(c.output() == "0123456789");
}

BOOST_DATA_TEST_CASE(says_what_reading_a_file_said, kinds)
{
    heard c(sample, "");
    error_code ec;
    BOOST_TEST(c.stream.send_file(-1, 0, 4, ec) == 0u);
    BOOST_TEST(ec == errc::bad_file_descriptor);
    int const folder = ::open("/", O_RDONLY | O_CLOEXEC);
    BOOST_TEST(c.stream.send_file(folder, 0, 4, ec) == 0u);
    BOOST_TEST(ec == errc::is_a_directory, ec.message());
    ::close(folder);
    c.stream.send_all("goes on");
    BOOST_TEST(c.output() == "goes on");
}

BOOST_AUTO_TEST_CASE(a_file_waits_for_the_peer_like_any_write)
{
    connected c(4096);
    std::string const much(4 << 20, 'x');
    temporary_file const file(much);
    c.stream.timeout(100ms);
    error_code ec;
    BOOST_TEST(c.stream.send_file(file.descriptor(), 0, much.size(), ec) < much.size());
    BOOST_TEST(ec == asio::error::timed_out);

    connected d(4096);
    beside writer([&] { return d.stream.send_file(file.descriptor()); });
    writer.wait_until_asleep();
    BOOST_TEST(!d.stream.try_send("!"));
    BOOST_TEST((d.peer().bytes(much.size()) == much));
    BOOST_TEST(writer.get() == much.size());

    beside again([&] { return d.stream.send_file(file.descriptor()); });
    again.wait_until_asleep();
    d.stream.abort();
    BOOST_CHECK_EXCEPTION(again.get(), system_error, has(asio::error::operation_aborted));
}

BOOST_AUTO_TEST_CASE(knows_both_ends)
{
    support::listener l;
    support::client const other(l.address());
    connected c;
    BOOST_TEST(c.stream.remote_endpoint().str().starts_with("127.0.0.1:"));
    BOOST_TEST(c.stream.local_endpoint().port() != 0);
    BOOST_TEST(stream().remote_endpoint().size() == 0u);
    BOOST_TEST(stream().local_endpoint().size() == 0u);
    BOOST_TEST(stream().native_handle() == -1);
}

BOOST_AUTO_TEST_CASE(its_descriptor_is_close_on_exec)
{
    connected c;
    BOOST_TEST((::fcntl(c.stream.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
}

BOOST_AUTO_TEST_CASE(disables_the_nagle_algorithm)
{
    connected c;
    auto const is_off = [&] {
        int on = 0;
        socklen_t size = sizeof on;
        ::getsockopt(c.stream.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, &size);
        return on != 0;
    };
    BOOST_TEST(!is_off());
    c.stream.disable_nagle_algorithm();
    BOOST_TEST(is_off());
    stream().disable_nagle_algorithm();
}

BOOST_AUTO_TEST_CASE(releases_the_connection_to_asio)
{
    support::no_descriptor_left const nothing;
    connected c;
    c.stream.timeout(50ms);
    BOOST_CHECK_THROW(receive(c.stream), system_error);
    c.stream.wfile() << "held back";
    int const descriptor = c.stream.release();
    BOOST_TEST(!c.stream.is_open());
    BOOST_TEST(c.stream.release() == -1);
    BOOST_TEST((::fcntl(descriptor, F_GETFL) & O_NONBLOCK) == 0);
    BOOST_TEST((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    for (int const option : {SO_RCVTIMEO, SO_SNDTIMEO})
    {
        timeval value{1, 1};
        socklen_t size = sizeof value;
        ::getsockopt(descriptor, SOL_SOCKET, option, &value, &size);
        BOOST_TEST(value.tv_sec == 0);
        BOOST_TEST(value.tv_usec == 0);
    }
    asio::io_context context;
    asio::ip::tcp::socket socket(context, asio::ip::tcp::v4(), descriptor);
    asio::write(socket, asio::buffer(" and more"sv));
    c.peer().send("answer");
    std::string text(6, '\0');
    asio::read(socket, asio::buffer(text));
    BOOST_TEST(text == "answer");
    socket.close();
    BOOST_TEST(c.peer().all() == "held back and more");
}

BOOST_AUTO_TEST_CASE(a_release_that_cannot_send_what_was_held_back_throws_and_keeps_it)
{
    auto s = failing("", 1);
    s.wfile() << "x";
    BOOST_CHECK_EXCEPTION(s.release(), system_error, has(asio::error::connection_reset));
    BOOST_TEST(s.is_open());
}

BOOST_AUTO_TEST_CASE(a_stream_that_is_not_open_says_so)
{
    auto const fails = [](stream& s) {
        auto const closed = has(asio::error::bad_descriptor);
        error_code ec;
        char text[8];
        std::string line;
        BOOST_TEST(!s.is_open());
        BOOST_TEST(s.read_some(asio::buffer(text), ec) == 0u);
        BOOST_TEST(ec == asio::error::bad_descriptor);
        BOOST_TEST(s.write_some(asio::buffer("x"sv), ec) == 0u);
        BOOST_TEST(ec == asio::error::bad_descriptor);
        BOOST_TEST(s.send_file(0, 0, 1, ec) == 0u);
        BOOST_TEST(ec == asio::error::bad_descriptor);
        BOOST_CHECK_EXCEPTION(s.send_all("x"), system_error, closed);
        BOOST_CHECK_EXCEPTION(s.shutdown_send(), system_error, closed);
        BOOST_CHECK_EXCEPTION(s.rfile(), system_error, closed);
        BOOST_CHECK_EXCEPTION(s.wfile(), system_error, closed);
        BOOST_CHECK_EXCEPTION(s.read_line(line), system_error, closed);
        BOOST_TEST(!s.try_send("x"));
        BOOST_TEST(s.release() == -1);
        s.abort();
        s.close();
        s.timeout(1s);
        s.deadline({});
        s.buffer_sizes(1, 1);
    };
    stream none;
    fails(none);
    stream empty{std::unique_ptr<transport>()};
    fails(empty);
    connected c;
    c.stream.wfile() << "dropped";
    c.stream.close();
    fails(c.stream);
    BOOST_TEST(c.peer().all() == "");
}

BOOST_AUTO_TEST_CASE(moves_with_all_that_is_in_it)
{
    connected c;
    c.peer().send("first\nsecond\n");
    std::string line;
    c.stream.read_line(line);
    auto& in = c.stream.rfile();
    auto& out = c.stream.wfile();
    out << "held back\n";
    stream other(std::move(c.stream));
    BOOST_TEST(!c.stream.is_open());
    BOOST_TEST(&other.rfile() == &in);
    std::getline(in, line);
    BOOST_TEST(line == "second");
    out << "and more\n" << std::flush;
    BOOST_TEST(c.peer().line() == "held back");
    BOOST_TEST(c.peer().line() == "and more");

    connected d;
    other = std::move(d.stream);
    BOOST_TEST(c.peer().sees_end());
    other.send_all("here");
    BOOST_TEST(d.peer().bytes(4) == "here");
}
