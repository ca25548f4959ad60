// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/counters.hpp>

#include <cstdio>

namespace socketserver {

std::string server_counters::str() const
{
    auto const part = [](char const* name, std::uint64_t n) {
        return std::string(", ") + name + ' ' + std::to_string(n);
    };
    return "accepted " + std::to_string(accepted) + part("active", active) + part("peak", peak) +
           part("rejected", rejected) + part("refused at the limit", refused_at_limit) +
           part("refused per client", refused_per_client) + part("failed", failed) +
           part("timed out", timed_out) + part("crashed", crashed) +
           part("accept errors", accept_errors) + part("bytes received", bytes_received) +
           part("bytes sent", bytes_sent);
}

std::string closing_report::str() const
{
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.3f", std::chrono::duration<double>(elapsed).count());
    return std::to_string(drained) + " drained, " + std::to_string(aborted) + " aborted, " +
           std::to_string(killed) + " killed, " + std::to_string(left_in_queue) +
           " left in the queue, in " + seconds + " s";
}

} // namespace socketserver
