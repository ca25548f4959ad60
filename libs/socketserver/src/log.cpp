// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/log.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <string>

#include <boost/log/attributes/attribute_name.hpp>
#include <boost/log/attributes/attribute_set.hpp>
#include <boost/log/attributes/attribute_value_impl.hpp>
#include <boost/log/attributes/constant.hpp>
#include <boost/log/attributes/value_extraction.hpp>
#include <boost/log/core.hpp>
#include <boost/log/sinks/basic_sink_backend.hpp>
#include <boost/log/sinks/unlocked_frontend.hpp>
#include <boost/log/trivial.hpp>
#include <boost/log/utility/formatting_ostream.hpp>
#include <boost/smart_ptr/make_shared_object.hpp>

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

namespace socketserver {
namespace {

namespace logging = boost::log;
using logging::trivial::severity_level;

static_assert(static_cast<int>(log_severity::trace) == logging::trivial::trace);
static_assert(static_cast<int>(log_severity::fatal) == logging::trivial::fatal);

constexpr auto severities =
    std::to_array<std::string_view>({"trace", "debug", "info", "warning", "error", "fatal"});

std::atomic<log_severity> level = log_severity::warning;

// Lines that standard error did not take since the last one that it took.
std::atomic<unsigned long> dropped = 0;

// The length of the character that text begins with, if it may stand in a line as it is: UTF-8,
// and neither a control character (those of C1, U+0080 to U+009F, too) nor a line separator.
std::size_t printable_length(std::string_view text)
{
    auto const byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    unsigned const lead = byte(0);
    if (lead < 0x80)
        return lead >= 0x20 && lead != 0x7f && lead != '\\' ? 1 : 0;

    std::size_t const length = lead < 0xc2   ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0 || length > text.size())
        return 0;

    char32_t code = lead & (0x7fu >> length);
    for (std::size_t i = 1; i != length; ++i)
    {
        if ((byte(i) & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (byte(i) & 0x3f);
    }
    constexpr char32_t least[] = {0xa0, 0x800, 0x10000};
    bool const is_surrogate = code >= 0xd800 && code <= 0xdfff;
    bool const ends_a_line = code == 0x2028 || code == 0x2029;
    bool const is_printable =
        code >= least[length - 2] && code <= 0x10ffff && !is_surrogate && !ends_a_line;
    return is_printable ? length : 0;
}

std::string_view escape(unsigned char byte, std::array<char, 4>& buffer)
{
    constexpr char digits[] = "0123456789abcdef";
    switch (byte)
    {
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    case '\\':
        return "\\\\";
    default:
        buffer = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        return {buffer.data(), buffer.size()};
    }
}

// One line, in a buffer on the caller's stack: POSIX promises that a pipe takes PIPE_BUF bytes
// whole, and Linux that poll() calls it writable only if it has room for them.
class line
{
public:
    line(std::string_view severity, unsigned long lost)
    {
        // Not gmtime_r: it takes a lock of the C library, which a fork may leave locked.
        using namespace std::chrono;
        auto const now = floor<milliseconds>(system_clock::now());
        auto const today = floor<days>(now);
        year_month_day const date(today);
        hh_mm_ss const time(now - today);
        auto const length = std::snprintf(text_.data(), text_.size(),
            "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ ", static_cast<int>(date.year()),
            static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
            static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
            static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
        size_ = static_cast<std::size_t>(length);
        append(severity);
        if (lost != 0)
        {
            append(" (");
            append(std::to_string(lost));
            append(lost == 1 ? " line dropped)" : " lines dropped)");
        }
        append(": ");
    }

    void finish(std::string_view message)
    {
        constexpr std::string_view ellipsis = "...";
        while (!message.empty())
        {
            std::array<char, 4> buffer;
            auto const length = printable_length(message);
            auto const shown = length != 0 ? message.substr(0, length)
                                           : escape(static_cast<unsigned char>(message[0]), buffer);
            if (size_ + shown.size() + ellipsis.size() + 1 > text_.size())
            {
                append(ellipsis);
                break;
            }
            append(shown);
            message.remove_prefix(std::max<std::size_t>(length, 1));
        }
        append("\n");
    }

    // Whether standard error took the line at once. If its reader has gone, poll() says POLLERR
    // or POLLHUP, and a write would raise SIGPIPE.
    bool write() const
    {
        pollfd standard_error = {STDERR_FILENO, POLLOUT, 0};
        return ::poll(&standard_error, 1, 0) == 1 && standard_error.revents == POLLOUT &&
               ::write(STDERR_FILENO, text_.data(), size_) == static_cast<ssize_t>(size_);
    }

private:
    void append(std::string_view text)
    {
        std::copy(text.begin(), text.end(), text_.data() + size_);
        size_ += text.size();
    }

    std::array<char, PIPE_BUF> text_;
    std::size_t size_ = 0;
};

void write_to_stderr(std::string_view severity, std::string_view message)
{
    auto const lost = dropped.exchange(0, std::memory_order_relaxed);
    line text(severity, lost);
    text.finish(message);
    if (!text.write())
        dropped.fetch_add(lost + 1, std::memory_order_relaxed);
}

logging::attribute_name const& severity_name()
{
    static logging::attribute_name const name("Severity");
    return name;
}

logging::attribute_name const& message_name()
{
    static logging::attribute_name const name("Message");
    return name;
}

template <class Attributes>
severity_level severity_of(Attributes const& attributes)
{
    return logging::extract_or_default<severity_level>(
        severity_name(), attributes, logging::trivial::info);
}

class stderr_backend : public logging::sinks::basic_sink_backend<logging::sinks::concurrent_feeding>
{
public:
    void consume(logging::record_view const& record)
    {
        auto const severity = severities.at(severity_of(record));
        if (auto const narrow = logging::extract<std::string>(message_name(), record))
            write_to_stderr(severity, narrow.get());
        else if (auto const wide = logging::extract<std::wstring>(message_name(), record))
        {
            std::string message;
            logging::formatting_ostream(message) << wide.get();
            write_to_stderr(severity, message);
        }
    }
};

// What a record of the library needs, made once and never destroyed: the last line of a program
// may come from the destructor of a static object.
class boost_log
{
public:
    boost_log()
    {
        for (std::size_t i = 0; i != severities.size(); ++i)
        {
            attributes_[i][severity_name()] =
                logging::attributes::constant<severity_level>(static_cast<severity_level>(i));
            attributes_[i]["Channel"] = logging::attributes::constant<std::string>("socketserver");
        }
        stderr_sink_->set_filter([](logging::attribute_value_set const& attributes) {
            auto const severity = static_cast<log_severity>(severity_of(attributes));
            return severity >= level.load(std::memory_order_relaxed);
        });
    }

    // Boost.Log itself sees to it that it is there only once.
    void add_stderr_sink() { core_->add_sink(stderr_sink_); }

    void push(log_severity severity, std::string_view message)
    {
        if (auto record = core_->open_record(attributes_.at(static_cast<std::size_t>(severity))))
        {
            record.attribute_values().insert(
                message_name(), logging::attributes::make_attribute_value(std::string(message)));
            core_->push_record(std::move(record));
        }
    }

    // With a thread's first record Boost.Log takes its lock exclusively, with the others shared.
    void prepare_thread()
    {
        thread_local bool is_prepared = false;
        if (is_prepared)
            return;
        core_->get_thread_attributes();
        is_prepared = true;
    }

private:
    logging::core_ptr core_ = logging::core::get();
    std::array<logging::attribute_set, severities.size()> attributes_;
    boost::shared_ptr<logging::sinks::unlocked_sink<stderr_backend>> stderr_sink_ =
        boost::make_shared<logging::sinks::unlocked_sink<stderr_backend>>();
};

// Null as long as neither log_to_stderr nor log_level was called.
std::atomic<boost_log*> configured = nullptr;

boost_log& configure()
{
    static auto* const instance = new boost_log;
    return *instance;
}

// A fork copies Boost.Log's lock as it is, and shared locks of threads that the child does not
// have are never released there. They leave a child that locks shared alone; so its only thread
// must have had its first record.
void before_fork() noexcept
{
    if (auto* const log = configured.load(std::memory_order_acquire))
    {
        try
        {
            log->prepare_thread();
        }
        catch (...)
        {
        }
    }
}

void in_child() noexcept
{
    // Most children have nothing to forget, and need no copy of the page that it lies in.
    if (dropped.load(std::memory_order_relaxed) != 0)
        dropped.store(0, std::memory_order_relaxed);
}

[[maybe_unused]] int const watches_forks = ::pthread_atfork(before_fork, nullptr, in_child);

} // namespace

void log_to_stderr(log_severity least)
{
    auto& log = configure();
    log.add_stderr_sink();
    level.store(least, std::memory_order_relaxed);
    configured.store(&log, std::memory_order_release);
}

void log_level(log_severity least)
{
    auto& log = configure();
    level.store(least, std::memory_order_relaxed);
    configured.store(&log, std::memory_order_release);
}

bool log_enabled(log_severity severity) noexcept
{
    return severity >= level.load(std::memory_order_relaxed);
}

void log(log_severity severity, std::string_view message) noexcept
{
    if (!log_enabled(severity))
        return;
    int const saved = errno;
    try
    {
        if (auto* const log = configured.load(std::memory_order_acquire))
            log->push(severity, message);
        else
            write_to_stderr(severities.at(static_cast<std::size_t>(severity)), message);
    }
    catch (...)
    {
    }
    errno = saved;
}

} // namespace socketserver
