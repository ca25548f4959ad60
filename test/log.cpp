// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What is logged: severities, levels, and the sinks of the program.

#include <socketserver/log.hpp>

#define BOOST_TEST_MODULE log
#include <boost/test/unit_test.hpp>

#include "support/log_of_child.hpp"

#include <boost/log/sources/logger.hpp>
#include <boost/log/sources/record_ostream.hpp>

#include <cstdlib>
#include <ctime>
#include <regex>
#include <stdexcept>
#include <string>
#include <unistd.h>

using namespace std::literals;
using namespace support;
using socketserver::log_severity;

namespace {

void log_one_of_each()
{
    socketserver::log(log_severity::trace, "t");
    socketserver::log(log_severity::debug, "d");
    socketserver::log(log_severity::info, "i");
    socketserver::log(log_severity::warning, "w");
    socketserver::log(log_severity::error, "e");
    socketserver::log(log_severity::fatal, "f");
}

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
