// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "limits.hpp"

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/value_semantic.hpp>

#include <charconv>
#include <climits>
#include <system_error>

namespace po = boost::program_options;

namespace {

std::size_t to_number(std::string const& option, std::string const& text, std::size_t from)
{
    std::size_t number = 0;
    auto const end = text.data() + text.size();
    auto const [after, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || after != end || number < from || number > INT_MAX)
        throw std::invalid_argument("--" + option + " '" + text + "': it takes a number from " +
                                    std::to_string(from) + " to " + std::to_string(INT_MAX));
    return number;
}

// A number that is none by default.
po::typed_value<std::string>* number(
    char const* option, std::optional<std::size_t>& to, std::size_t from)
{
    return po::value<std::string>()->value_name("N")->notifier(
        [=, &to](std::string const& text) { to = to_number(option, text, from); });
}

limits::duration to_duration(std::string const& option, double seconds)
{
    // Ten years: what the clock counts in 64 bits of nanoseconds ends not much later.
    if (!(seconds >= 0 && seconds <= 315e6))
        throw std::invalid_argument("--" + option + ": it takes seconds, from 0 to 315000000");
    return std::chrono::round<limits::duration>(std::chrono::duration<double>(seconds));
}

// Seconds, of which 0 are none.
po::typed_value<double>* seconds(char const* option, std::optional<limits::duration>& to)
{
    return po::value<double>()->value_name("SECONDS")->default_value(0)->notifier(
        [=, &to](double given) {
            auto const limit = to_duration(option, given);
            to = limit.count() != 0 ? std::optional(limit) : std::nullopt;
        });
}

socketserver::at_limit to_at_limit(std::string const& text)
{
    using socketserver::at_limit;
    if (text == "defer")
        return at_limit::defer;
    if (text == "refuse")
        return at_limit::refuse;
    if (text == "caller-runs")
        return at_limit::caller_runs;
    throw std::invalid_argument(
        "--when-full '" + text + "': possible are defer, refuse and caller-runs");
}

} // namespace

void limits::add_to(po::options_description& options)
{
    auto add = options.add_options();
    add("timeout", seconds("timeout", timeout),
        "end a connection on which no byte has moved for so long; 0 for never");
    add("deadline", seconds("deadline", deadline),
        "end a connection after so long, whatever it does; 0 for never");
    add("drain-timeout",
        po::value<double>()->value_name("SECONDS")->default_value(30)->notifier(
            [this](double s) { drain_timeout = to_duration("drain-timeout", s); }),
        "how long connections may go on after SIGTERM or SIGINT");
    add("max-active", number("max-active", max_active, 1),
        "how many requests there may be at once, in all processes; else as many as the strategy "
        "takes");
    add("max-active-per-client", number("max-active-per-client", max_active_per_client, 1),
        "how many of them may be from one IPv4 address or IPv6 network; what is more is refused");
    add("when-full",
        po::value<std::string>()->value_name("WHAT")->default_value("defer")->notifier(
            [this](std::string const& text) { when_full = to_at_limit(text); }),
        "what becomes of the next one: defer (it waits in the system's queue), refuse (it is "
        "closed), or caller-runs (threading and thread-pool: the loop runs it)");
    add("request-queue-size", number("request-queue-size", request_queue_size, 0),
        "how many connections may wait to be accepted; else as many as the system allows");
    add("max-packet-size", number("max-packet-size", max_packet_size, 1),
        "how many bytes of a datagram are taken; else 262144");
    add("max-queue", number("max-queue", max_queue, 0),
        "thread-pool: how many requests may wait for a thread; else as many as there are threads");
    add("max-coroutines", number("max-coroutines", max_coroutines, 1),
        "coroutine: how many there may be at once; else as many as descriptors, less 64");
    add("max-requests", number("max-requests", max_requests, 0),
        "preforking: replace a worker after so many requests, and up to a tenth more; 0 or else "
        "never");
}
