// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "commands.hpp"

#include "options.hpp"
#include "pipeline.hpp"
#include "report.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <exception>
#include <filesystem>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <utility>

namespace parity {

namespace {

// The threads of this program that are no strategy's.
std::atomic<int> own_threads{1};

constexpr std::chrono::nanoseconds shortest{1};

// Lines of standard input.  Signals interrupt the wait for them, which is all that they do.
class command_lines
{
public:
    // The next line, or the end.
    std::optional<std::string> next()
    {
        for (;;)
        {
            if (auto const end = held_.find('\n'); end != held_.npos)
            {
                auto line = held_.substr(0, end);
                held_.erase(0, end + 1);
                return line;
            }
            char some[4096];
            auto const n = ::read(STDIN_FILENO, some, sizeof some);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return held_.empty() ? std::optional<std::string>() : std::exchange(held_, {});
            held_.append(some, static_cast<std::size_t>(n));
        }
    }

private:
    std::string held_;
};

template <class F>
void in_background(F f)
{
    ++own_threads;
    std::thread([f = std::move(f)]() mutable {
        f();
        --own_threads;
    }).detach();
}

long processor_milliseconds()
{
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

} // namespace

long strategy_threads()
{
    using entries = std::filesystem::directory_iterator;
    return std::max<long>(std::distance(entries("/proc/self/task"), entries()) - own_threads, 0);
}

commands::commands(socketserver::base_server& server, inquiries ask)
    : server_(server)
    , ask_(std::move(ask))
{
}

void commands::run()
{
    using clock = std::chrono::steady_clock;
    command_lines lines;
    while (auto const line = lines.next())
    {
        std::istringstream words(*line);
        std::string verb;
        if (!(words >> verb))
            continue;
        if (verb == "quit")
            return;
        auto const began = clock::now();
        std::string detail;
        try
        {
            detail = carry_out(verb, words);
        }
        catch (...)
        {
            detail = in_python(std::current_exception()).type;
        }
        auto const took =
            std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - began);
        report("DONE", verb, took.count(), detail);
    }
}

std::string commands::carry_out(std::string const& verb, std::istream& arguments)
{
    if (verb == "serve")
        serve();
    else if (verb == "shutdown")
        server_.shutdown();
    else if (verb == "ashutdown")
        in_background([this] {
            server_.shutdown();
            report("ASHUTDOWN returned");
        });
    else if (verb == "close")
        server_.server_close();
    else if (verb == "handle")
    {
        serving_thread = std::this_thread::get_id();
        server_.handle_request();
    }
    else if (verb == "join")
        return join(arguments);
    else if (verb == "children")
        return std::to_string(ask_.children());
    else if (verb == "threads")
        return std::to_string(in_threads);
    else if (verb == "tracked")
        return ask_.tracked();
    else if (verb == "loops")
        return std::to_string(loops);
    else if (verb == "fileno")
        return std::to_string(server_.fileno());
    else if (verb == "cpu")
        return std::to_string(processor_milliseconds());
    return {};
}

void commands::serve()
{
    std::promise<void> ended;
    loop_ = ended.get_future();
    in_background([this, ended = std::move(ended)]() mutable {
        serving_thread = std::this_thread::get_id();
        try
        {
            // Python's loop never rests at an interval of 0, which this library refuses.
            server_.serve_forever(std::max(seconds(given["poll"].as<double>()), shortest));
            report("SERVE_RETURN ok");
        }
        catch (...)
        {
            report("SERVE_RETURN", in_python(std::current_exception()).type);
        }
        ended.set_value();
    });
}

std::string commands::join(std::istream& arguments)
{
    double patience = 0;
    if (!(arguments >> patience) || !loop_.valid())
        throw std::invalid_argument("join SECONDS, after serve");
    return loop_.wait_for(seconds(patience)) == std::future_status::ready ? "dead" : "alive";
}

} // namespace parity
