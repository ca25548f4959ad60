// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Test that the header is self-contained.
#include <socketserver/log.hpp>

#define BOOST_TEST_MODULE log
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iomanip>
#include <latch>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/log/attributes/value_extraction.hpp>
#include <boost/log/core.hpp>
#include <boost/log/sinks/basic_sink_backend.hpp>
#include <boost/log/sinks/unlocked_frontend.hpp>
#include <boost/log/sources/logger.hpp>
#include <boost/log/sources/record_ostream.hpp>
#include <boost/log/trivial.hpp>
#include <boost/smart_ptr/make_shared_object.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace data = boost::unit_test::data;
namespace logging = boost::log;
using namespace std::literals;
using socketserver::log_severity;

namespace {

std::string read_what_is_there(int handle)
{
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = ::read(handle, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(n));
    return text;
}

void require(bool condition, char const* what)
{
    if (!condition)
        throw std::runtime_error(what);
}

// Run f in a process of its own, since the log is one a process and these tests configure it, and
// give back what f returns. What does not end is killed by an alarm.
std::string in_a_child(std::function<std::string()> const& f)
{
    int result[2];
    BOOST_REQUIRE(::pipe2(result, O_CLOEXEC) == 0);
    std::fflush(nullptr);
    auto const child = ::fork();
    BOOST_REQUIRE(child != -1);
    if (child == 0)
    {
        std::signal(SIGALRM, SIG_DFL);
        ::alarm(20);
        std::string text;
        try
        {
            text = f();
        }
        catch (std::exception const& error)
        {
            text = "exception: "s + error.what();
        }
        auto const written = ::write(result[1], text.data(), text.size());
        ::_exit(written == static_cast<ssize_t>(text.size()) ? 0 : 1);
    }
    ::close(result[1]);
    auto text = read_what_is_there(result[0]);
    ::close(result[0]);
    int status = 0;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status))
        text += "killed by signal " + std::to_string(WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        text += "exit status " + std::to_string(WEXITSTATUS(status));
    return text;
}

// Standard error, or another standard stream, led into a pipe.
class captured
{
public:
    explicit captured(int stream = STDERR_FILENO)
        : stream_(stream)
        , saved_(::dup(stream))
    {
        int ends[2];
        require(::pipe2(ends, O_CLOEXEC) == 0, "pipe2");
        reader_ = ends[0];
        require(::fcntl(reader_, F_SETFL, O_NONBLOCK) == 0, "fcntl");
        require(::dup2(ends[1], stream_) == stream_, "dup2");
        ::close(ends[1]);
    }

    ~captured()
    {
        ::dup2(saved_, stream_);
        ::close(saved_);
        close_reader();
    }

    captured(captured const&) = delete;
    captured& operator=(captured const&) = delete;

    std::string read() { return read_what_is_there(reader_); }

    void fill()
    {
        require(::fcntl(stream_, F_SETFL, O_NONBLOCK) == 0, "fcntl");
        std::string const page(4096, '.');
        while (::write(stream_, page.data(), page.size()) > 0)
        {
        }
        require(::fcntl(stream_, F_SETFL, 0) == 0, "fcntl");
    }

    void close_reader()
    {
        if (reader_ != -1)
            ::close(std::exchange(reader_, -1));
    }

private:
    int stream_;
    int saved_;
    int reader_ = -1;
};

std::string without_times(std::string const& text)
{
    static std::regex const time(R"((^|\n)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z )");
    return std::regex_replace(text, time, "$1");
}

void log_one_of_each()
{
    socketserver::log(log_severity::trace, "t");
    socketserver::log(log_severity::debug, "d");
    socketserver::log(log_severity::info, "i");
    socketserver::log(log_severity::warning, "w");
    socketserver::log(log_severity::error, "e");
    socketserver::log(log_severity::fatal, "f");
}

// What standard error gets of f.
std::string logged_by(std::function<void()> const& f)
{
    return in_a_child([&f] {
        captured standard_error;
        f();
        return without_times(standard_error.read());
    });
}

// A sink of the program's, which keeps what it gets.
class program_sink : public logging::sinks::basic_sink_backend<logging::sinks::concurrent_feeding>
{
public:
    using frontend = logging::sinks::unlocked_sink<program_sink>;

    static boost::shared_ptr<frontend> add()
    {
        auto const sink = boost::make_shared<frontend>();
        logging::core::get()->add_sink(sink);
        return sink;
    }

    void consume(logging::record_view const& record)
    {
        using logging::trivial::severity_level;
        auto const severity = logging::extract<severity_level>("Severity", record);
        text += logging::extract<std::string>("Channel", record).get() + " " +
                logging::trivial::to_string(severity.get()) + " " +
                logging::extract<std::string>("Message", record).get() + "\n";
    }

    std::string text;
};

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

BOOST_AUTO_TEST_CASE(writes_the_time_the_severity_and_the_message)
{
    auto const text = in_a_child([] {
        captured standard_error;
        socketserver::log_to_stderr();
        socketserver::log(log_severity::info, "listening");
        return standard_error.read();
    });
    std::regex const line(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info: listening\n)");
    BOOST_TEST(std::regex_match(text, line), text);
}

BOOST_AUTO_TEST_CASE(writes_the_present_time_in_utc)
{
    auto const to_seconds = [](std::time_t time) {
        char text[32];
        std::tm parts;
        std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", ::gmtime_r(&time, &parts));
        return std::string(text);
    };
    auto const before = to_seconds(std::time(nullptr));
    auto const text = in_a_child([] {
        ::setenv("TZ", "Asia/Tokyo", 1);
        ::tzset();
        captured standard_error;
        socketserver::log(log_severity::fatal, "");
        return standard_error.read();
    });
    auto const after = to_seconds(std::time(nullptr));
    BOOST_TEST(before <= text.substr(0, before.size()));
    BOOST_TEST(text.substr(0, before.size()) <= after);
}

BOOST_AUTO_TEST_CASE(writes_warnings_to_standard_error_alone_until_it_is_configured)
{
    auto const text = in_a_child([] {
        captured standard_error;
        captured standard_output(STDOUT_FILENO);
        log_one_of_each();
        return without_times(standard_error.read()) + "|" + standard_output.read();
    });
    BOOST_TEST(text == "warning: w\nerror: e\nfatal: f\n|");
}

BOOST_AUTO_TEST_CASE(writes_nothing_to_standard_output_once_it_logs_to_standard_error)
{
    auto const text = in_a_child([] {
        captured standard_error;
        captured standard_output(STDOUT_FILENO);
        socketserver::log_to_stderr();
        log_one_of_each();
        return without_times(standard_error.read()) + "|" + standard_output.read();
    });
    BOOST_TEST(text == "info: i\nwarning: w\nerror: e\nfatal: f\n|");
}

BOOST_AUTO_TEST_CASE(logs_from_the_level_on_that_was_chosen_last)
{
    auto const text = logged_by([] {
        socketserver::log_to_stderr(log_severity::trace);
        log_one_of_each();
        socketserver::log_to_stderr(log_severity::fatal);
        log_one_of_each();
        socketserver::log_level(log_severity::error);
        log_one_of_each();
    });
    BOOST_TEST(text == "trace: t\ndebug: d\ninfo: i\nwarning: w\nerror: e\nfatal: f\n"
                       "fatal: f\n"
                       "error: e\nfatal: f\n");
}

BOOST_AUTO_TEST_CASE(says_at_which_severities_it_logs)
{
    auto const enabled = [] {
        std::string text;
        for (auto severity : {log_severity::trace, log_severity::debug, log_severity::info,
                 log_severity::warning, log_severity::error, log_severity::fatal})
            text += socketserver::log_enabled(severity) ? '1' : '0';
        return text;
    };
    BOOST_TEST(enabled() == "000111");
    auto const configured = in_a_child([&enabled] {
        socketserver::log_to_stderr();
        auto const by_default = enabled();
        socketserver::log_level(log_severity::trace);
        return by_default + " " + enabled();
    });
    BOOST_TEST(configured == "001111 111111");
}

BOOST_AUTO_TEST_CASE(gives_records_with_channel_and_severity_to_the_sinks_of_the_program)
{
    auto const text = in_a_child([] {
        captured standard_error;
        auto const sink = program_sink::add();
        socketserver::log_level(log_severity::info);
        log_one_of_each();
        return sink->locked_backend()->text + "|" + standard_error.read();
    });
    BOOST_TEST(text == "socketserver info i\nsocketserver warning w\n"
                       "socketserver error e\nsocketserver fatal f\n|");
}

BOOST_AUTO_TEST_CASE(gives_messages_as_they_are_to_the_sinks_of_the_program)
{
    auto const text = in_a_child([] {
        auto const sink = program_sink::add();
        socketserver::log_level(log_severity::info);
        socketserver::log(log_severity::info, "a\0\x1b\\"sv);
        return sink->locked_backend()->text;
    });
    BOOST_TEST(text == "socketserver info a\0\x1b\\\n"s);
}

BOOST_AUTO_TEST_CASE(survives_a_sink_of_the_program_that_throws)
{
    auto const text = logged_by([] {
        socketserver::log_to_stderr();
        auto const sink = program_sink::add();
        sink->set_filter([](logging::attribute_value_set const&) -> bool {
            throw std::runtime_error("filter");
        });
        socketserver::log(log_severity::info, "lost");
        logging::core::get()->remove_sink(sink);
        socketserver::log(log_severity::info, "back");
    });
    BOOST_TEST(text == "info: back\n");
}

BOOST_AUTO_TEST_CASE(writes_the_records_of_the_program_from_the_level_on)
{
    auto const text = logged_by([] {
        socketserver::log_to_stderr(log_severity::warning);
        BOOST_LOG_TRIVIAL(info) << "less";
        BOOST_LOG_TRIVIAL(warning) << "program\n";
    });
    BOOST_TEST(text == "warning: program\\n\n");
}

BOOST_AUTO_TEST_CASE(takes_a_record_without_a_severity_for_info)
{
    auto const text = logged_by([] {
        logging::sources::logger narrow;
        logging::sources::wlogger wide;
        socketserver::log_to_stderr();
        BOOST_LOG(narrow) << "narrow";
        BOOST_LOG(wide) << L"wide";
        socketserver::log_level(log_severity::warning);
        BOOST_LOG(narrow) << "narrow";
    });
    BOOST_TEST(text == "info: narrow\ninfo: wide\n");
}

BOOST_AUTO_TEST_CASE(comes_back_when_the_program_has_removed_all_sinks)
{
    auto const text = logged_by([] {
        socketserver::log_to_stderr();
        logging::core::get()->remove_all_sinks();
        socketserver::log_to_stderr();
        socketserver::log_to_stderr();
        socketserver::log(log_severity::info, "once");
    });
    BOOST_TEST(text == "info: once\n");
}

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
