// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/stream.hpp>

#define BOOST_TEST_MODULE stream
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/connected.hpp"
#include "support/descriptors.hpp"
#include "support/lasts.hpp"

#include <socketserver/memory_transport.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/request_handler.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <istream>
#include <memory>
#include <netinet/tcp.h>
#include <ostream>
#include <poll.h>
#include <stdexcept>
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
using support::beside;
using support::connected;

namespace {

auto has(error_code expected)
{
    return [expected](system_error const& e) {
        BOOST_TEST(e.code() == expected);
        return e.code() == expected;
    };
}

auto has(asio::error::basic_errors expected)
{
    return has(make_error_code(expected));
}

// Whether it only says that the peer is gone.
bool says_peer_gone(error_code const& ec)
{
    return ec == asio::error::broken_pipe || ec == asio::error::connection_reset;
}

std::string receive(stream& s, std::size_t most = 65536)
{
    std::string text(most, '\0');
    text.resize(s.read_some(asio::buffer(text)));
    return text;
}

// A connection over which an input has come, with the peer's end behind it; each kind of it.
class heard
{
    support::no_descriptor_left nothing_left_;

public:
    heard(std::string const& kind, std::string const& input)
    {
        if (kind == "memory")
        {
            record_ = std::make_shared<memory_transport::record>();
            stream = socketserver::stream(std::make_unique<memory_transport>(input, record_));
            return;
        }
        connection_.emplace();
        stream = std::move(connection_->stream);
        connection_->peer().send(input);
        connection_->peer().end();
    }

    // Closes the connection and gives all that was sent over it.
    std::string output()
    {
        stream.close();
        return record_ ? record_->output : connection_->peer().all();
    }

    socketserver::stream stream;

private:
    std::shared_ptr<memory_transport::record> record_;
    std::optional<connected> connection_;
};

auto const kinds = data::make({"socket"s, "memory"s});

// A connection in memory whose Nth operation fails.
stream failing(std::string input, std::size_t n)
{
    return stream(std::make_unique<memory_transport>(std::move(input), nullptr, n));
}

// Runs a callable as the handler of a stream.
template <class F>
void handle(stream& s, F const& f)
{
    ready<tcp_server> server(defer_activation, "127.0.0.1:0", [](stream&) {});
    handler_factory<stream>(f).make()->run(s, endpoint("127.0.0.1:1"), server);
}

class temporary_file
{
public:
    explicit temporary_file(std::string_view content)
        : file_(std::tmpfile())
    {
        std::fwrite(content.data(), 1, content.size(), file_);
        std::fflush(file_);
    }

    temporary_file(temporary_file const&) = delete;
    temporary_file& operator=(temporary_file const&) = delete;

    ~temporary_file() { std::fclose(file_); }

    int descriptor() const { return ::fileno(file_); }

private:
    std::FILE* file_;
};

static_assert(!std::is_copy_constructible_v<stream>);
static_assert(std::is_nothrow_move_constructible_v<stream>);
static_assert(std::is_nothrow_move_assignable_v<stream>);

} // namespace

// ---------------------------------------------------------------- moving bytes

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

// ---------------------------------------------------------------- limits

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

// ---------------------------------------------------------------- abort

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

// ---------------------------------------------------------------- try_send

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

// ---------------------------------------------------------------- signals

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

// ---------------------------------------------------------------- files

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

// ---------------------------------------------------------------- the connection itself

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

// ---------------------------------------------------------------- rfile and wfile

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

// ---------------------------------------------------------------- lines

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

// ---------------------------------------------------------------- errors

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
