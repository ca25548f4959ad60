// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The lines on standard error: whole, harmless, and dropped rather than waited for.

#include <socketserver/log.hpp>

#define BOOST_TEST_MODULE log_lines
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/log_of_child.hpp"

#include <atomic>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <iomanip>
#include <latch>
#include <ostream>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace data = boost::unit_test::data;
using namespace std::literals;
using namespace support;
using socketserver::log_severity;

namespace {

struct message
{
    std::string given;
    std::string written;

    friend std::ostream& operator<<(std::ostream& stream, message const& sample)
    {
        return stream << std::quoted(sample.written);
    }
};

std::vector<message> const messages = {
    {"", ""},
    {"plain \"text\" ~", "plain \"text\" ~"},
    {"a\r\nb\tc", "a\\r\\nb\\tc"},
    {"2026-01-31T12:34:56.789Z fatal: x\n", "2026-01-31T12:34:56.789Z fatal: x\\n"},
    {"\x1b[31m", "\\x1b[31m"},
    {"a\0b\x01\x1f\x7f"s, "a\\x00b\\x01\\x1f\\x7f"},
    {"C:\\new", "C:\\\\new"},
    {"\xc2\xa0 \xc3\xa9 \xdf\xbf", "\xc2\xa0 \xc3\xa9 \xdf\xbf"},
    {"\xe0\xa0\x80 \xe2\x82\xac \xef\xbf\xbd", "\xe0\xa0\x80 \xe2\x82\xac \xef\xbf\xbd"},
    {"\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"},
    {"\xc2\x80 \xc2\x9b", "\\xc2\\x80 \\xc2\\x9b"},
    {"\xe2\x80\xa8 \xe2\x80\xa9", "\\xe2\\x80\\xa8 \\xe2\\x80\\xa9"},
    {"\x80 \x9b \xff", "\\x80 \\x9b \\xff"},
    {"\xc0\xaf \xc1\xbf", "\\xc0\\xaf \\xc1\\xbf"},
    {"\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"},
    {"\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"},
    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
    {"\xf4\x90\x80\x80 \xf5\x80\x80\x80", "\\xf4\\x90\\x80\\x80 \\xf5\\x80\\x80\\x80"},
    {"\xc3\n", "\\xc3\\n"},
    {"\xe2\x82", "\\xe2\\x82"},
};

} // namespace

BOOST_DATA_TEST_CASE(lets_no_message_forge_a_line_or_steer_a_terminal, data::make(messages))
{
    auto const text = logged_by([&] {
        socketserver::log_to_stderr();
        socketserver::log(log_severity::info, sample.given);
    });
    BOOST_TEST(text == "info: " + sample.written + "\n");
}

BOOST_AUTO_TEST_CASE(reads_no_byte_behind_the_message)
{
    auto const text =
        logged_by([] { socketserver::log(log_severity::error, "\xe2\x82\xac"sv.substr(0, 2)); });
    BOOST_TEST(text == "error: \\xe2\\x82\n");
}

BOOST_DATA_TEST_CASE(cuts_a_line_between_two_characters,
    data::make({"x"s, "\n"s, "\xe2\x82\xac"s, "\xff"s}), character)
{
    auto const text = in_a_child([&] {
        std::string message;
        while (message.size() < 2 * PIPE_BUF)
            message += character;
        captured standard_error;
        socketserver::log(log_severity::error, message);
        return standard_error.read();
    });
    BOOST_TEST(text.size() <= std::size_t(PIPE_BUF));
    BOOST_TEST(text.size() > std::size_t(PIPE_BUF - 4));
    auto const end = character == "\n"     ? "\\n...\n"
                     : character == "\xff" ? "\\xff...\n"
                                           : character + "...\n";
    BOOST_TEST(text.ends_with(end));
    BOOST_TEST(text.find('\n') == text.size() - 1);
}

BOOST_AUTO_TEST_CASE(writes_each_line_by_one_write)
{
    auto const text = in_a_child([] {
        int ends[2];
        require(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "pair");
        auto const saved = ::dup(STDERR_FILENO);
        ::dup2(ends[1], STDERR_FILENO);
        socketserver::log_to_stderr();
        socketserver::log(log_severity::info, "one");
        socketserver::log(log_severity::info, "two");
        std::string packets;
        char buffer[100];
        for (ssize_t n; (n = ::recv(ends[0], buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
            packets += "[" + without_times({buffer, static_cast<std::size_t>(n)}) + "]";
        ::dup2(saved, STDERR_FILENO);
        return packets;
    });
    BOOST_TEST(text == "[info: one\n][info: two\n]");
}

BOOST_DATA_TEST_CASE(drops_what_would_block_and_says_how_much, data::make({1, 3}), count)
{
    auto const text = in_a_child([&] {
        captured standard_error;
        socketserver::log_to_stderr();
        standard_error.fill();
        for (int i = 0; i != count; ++i)
            socketserver::log(log_severity::info, "dropped");
        auto const full = standard_error.read();
        require(full.find_first_not_of('.') == full.npos, "a line was written");
        socketserver::log(log_severity::error, "first");
        socketserver::log(log_severity::error, "second");
        return without_times(standard_error.read());
    });
    auto const how_many = count == 1 ? "1 line"s : std::to_string(count) + " lines";
    BOOST_TEST(text == "error (" + how_many + " dropped): first\nerror: second\n");
}

BOOST_AUTO_TEST_CASE(suffers_a_standard_error_whose_reader_has_gone)
{
    auto const text = in_a_child([] {
        socketserver::log_to_stderr();
        {
            captured standard_error;
            standard_error.close_reader();
            socketserver::log(log_severity::info, "dropped");
        }
        captured standard_error;
        socketserver::log(log_severity::info, "alive");
        return without_times(standard_error.read());
    });
    BOOST_TEST(text == "info (1 line dropped): alive\n");
}

BOOST_AUTO_TEST_CASE(suffers_a_closed_standard_error)
{
    auto const text = in_a_child([] {
        socketserver::log_to_stderr();
        ::close(STDERR_FILENO);
        socketserver::log(log_severity::info, "dropped");
        require(::open("/dev/null", O_WRONLY | O_CLOEXEC) == STDERR_FILENO, "open");
        captured standard_error;
        socketserver::log(log_severity::info, "alive");
        return without_times(standard_error.read());
    });
    BOOST_TEST(text == "info (1 line dropped): alive\n");
}

BOOST_AUTO_TEST_CASE(suffers_a_full_disk_and_leaves_errno_alone)
{
    auto const text = in_a_child([] {
        socketserver::log_to_stderr();
        auto const full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
        require(full != -1 && ::dup2(full, STDERR_FILENO) == STDERR_FILENO, "open");
        errno = ENOENT;
        socketserver::log(log_severity::info, "dropped");
        auto const after = errno;
        captured standard_error;
        socketserver::log(log_severity::info, "alive");
        return without_times(standard_error.read()) + std::to_string(after);
    });
    BOOST_TEST(text == "info (1 line dropped): alive\n" + std::to_string(ENOENT));
}

BOOST_AUTO_TEST_CASE(leaves_it_to_each_process_to_count_its_own_dropped_lines)
{
    auto const text = in_a_child([] {
        captured standard_error;
        socketserver::log_to_stderr();
        standard_error.fill();
        socketserver::log(log_severity::info, "dropped");
        standard_error.read();
        auto const child = ::fork();
        if (child == 0)
        {
            socketserver::log(log_severity::info, "child");
            ::_exit(0);
        }
        require(::waitpid(child, nullptr, 0) == child, "waitpid");
        socketserver::log(log_severity::info, "parent");
        return without_times(standard_error.read());
    });
    BOOST_TEST(text == "info: child\ninfo (1 line dropped): parent\n");
}

BOOST_AUTO_TEST_CASE(logs_in_a_child_that_was_forked_while_another_thread_was_logging)
{
    auto const text = in_a_child([] {
        captured standard_error;
        socketserver::log_to_stderr(log_severity::info);
        auto const no_op = ::fork();
        if (no_op == 0)
            ::_exit(0);
        require(::waitpid(no_op, nullptr, 0) == no_op, "waitpid");

        // A thread that holds Boost.Log's lock, shared, for as long as a filter runs.
        std::latch in_filter(1);
        std::latch forked(1);
        std::atomic<bool> holds = true;
        auto const sink = program_sink::add();
        sink->set_filter([&](logging::attribute_value_set const&) {
            if (holds.exchange(false))
            {
                in_filter.count_down();
                forked.wait();
            }
            return false;
        });
        std::thread other([] { socketserver::log(log_severity::info, "thread"); });
        in_filter.wait();
        auto const child = ::fork();
        if (child == 0)
        {
            ::alarm(10);
            socketserver::log(log_severity::info, "child");
            ::_exit(0);
        }
        require(::waitpid(child, nullptr, 0) == child, "waitpid");
        forked.count_down();
        other.join();
        return without_times(standard_error.read());
    });
    BOOST_TEST(text == "info: child\ninfo: thread\n");
}

BOOST_AUTO_TEST_CASE(keeps_the_lines_of_many_threads_whole)
{
    auto const text = logged_by([] {
        socketserver::log_to_stderr();
        std::vector<std::thread> threads;
        for (int i = 0; i != 4; ++i)
            threads.emplace_back([] {
                for (int j = 0; j != 10; ++j)
                    socketserver::log(log_severity::info, "line");
            });
        for (auto& thread : threads)
            thread.join();
    });
    std::string expected;
    for (int i = 0; i != 40; ++i)
        expected += "info: line\n";
    BOOST_TEST(text == expected);
}
