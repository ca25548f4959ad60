// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_LOG_OF_CHILD_HPP
#define SOCKETSERVER_TEST_SUPPORT_LOG_OF_CHILD_HPP

#include <boost/log/attributes/value_extraction.hpp>
#include <boost/log/core.hpp>
#include <boost/log/sinks/basic_sink_backend.hpp>
#include <boost/log/sinks/unlocked_frontend.hpp>
#include <boost/log/trivial.hpp>
#include <boost/smart_ptr/make_shared_object.hpp>
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <fcntl.h>
#include <functional>
#include <regex>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

// What the tests of the log share.
namespace support {

namespace logging = boost::log;

inline std::string read_what_is_there(int handle)
{
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = ::read(handle, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(n));
    return text;
}

inline void require(bool condition, char const* what)
{
    if (!condition)
        throw std::runtime_error(what);
}

// Run f in a process of its own, since the log is one a process and these tests configure it, and
// give back what f returns. What does not end is killed by an alarm.
inline std::string in_a_child(std::function<std::string()> const& f)
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
            text = std::string("exception: ") + error.what();
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

inline std::string without_times(std::string const& text)
{
    static std::regex const time(R"((^|\n)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z )");
    return std::regex_replace(text, time, "$1");
}

// What standard error gets of f.
inline std::string logged_by(std::function<void()> const& f)
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

} // namespace support

#endif
