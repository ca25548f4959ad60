// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_LOGGED_HPP
#define SOCKETSERVER_TEST_SUPPORT_LOGGED_HPP

#include <socketserver/log.hpp>

#include <boost/log/attributes/value_extraction.hpp>
#include <boost/log/core.hpp>
#include <boost/log/sinks/basic_sink_backend.hpp>
#include <boost/log/sinks/unlocked_frontend.hpp>
#include <boost/log/trivial.hpp>
#include <boost/smart_ptr/make_shared_object.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace support {

// Collects what the library logs, each line as "severity: message", for as long as it lives.
class logged
{
public:
    logged()
    {
        boost::log::core::get()->add_sink(sink_);
        socketserver::log_level(socketserver::log_severity::debug);
    }

    logged(logged const&) = delete;
    logged& operator=(logged const&) = delete;

    ~logged()
    {
        socketserver::log_level(socketserver::log_severity::fatal);
        boost::log::core::get()->remove_sink(sink_);
    }

    std::vector<std::string> lines() const
    {
        std::lock_guard const lock(lines_.mutex);
        return lines_.all;
    }

    // How many lines have this in them.
    std::size_t count(std::string_view text) const
    {
        std::lock_guard const lock(lines_.mutex);
        return lines_.count(text);
    }

    // Waits for a line; false if none comes within ten seconds.
    bool wait_for(std::string_view text)
    {
        std::unique_lock lock(lines_.mutex);
        return lines_.changed.wait_for(
            lock, std::chrono::seconds(10), [&] { return lines_.count(text) != 0; });
    }

private:
    struct collected
    {
        std::size_t count(std::string_view text) const
        {
            return static_cast<std::size_t>(std::count_if(all.begin(), all.end(),
                [text](std::string const& line) { return line.find(text) != line.npos; }));
        }

        mutable std::mutex mutex;
        std::condition_variable changed;
        std::vector<std::string> all;
    };

    struct backend final
        : boost::log::sinks::basic_sink_backend<boost::log::sinks::concurrent_feeding>
    {
        explicit backend(collected& to)
            : lines(to)
        {
        }

        void consume(boost::log::record_view const& record)
        {
            using boost::log::trivial::severity_level;
            auto const severity = boost::log::extract<severity_level>("Severity", record);
            auto const message = boost::log::extract<std::string>("Message", record);
            if (!severity || !message)
                return;
            std::lock_guard const lock(lines.mutex);
            lines.all.push_back(
                std::string(boost::log::trivial::to_string(*severity)) + ": " + *message);
            lines.changed.notify_all();
        }

        collected& lines;
    };

    collected lines_;
    boost::shared_ptr<boost::log::sinks::unlocked_sink<backend>> sink_ =
        boost::make_shared<boost::log::sinks::unlocked_sink<backend>>(
            boost::make_shared<backend>(lines_));
};

} // namespace support

#endif
