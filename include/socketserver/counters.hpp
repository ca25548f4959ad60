// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_COUNTERS_HPP
#define SOCKETSERVER_COUNTERS_HPP

#include <socketserver/config.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace socketserver {

/** What a server has counted since it was made, in all its processes.

    The numbers are exact under every strategy; those of a process that was killed are not lost,
    but what it had done without having counted it yet: bytes are counted when they have moved.
    Taken while requests are in progress, they are of one moment each, not all of the same.
*/
struct SOCKETSERVER_DECL server_counters
{
    /** Connections and datagrams that were taken, those that were rejected or refused included. */
    std::uint64_t accepted = 0;

    /** Requests in progress, those that wait for a thread included. */
    std::uint64_t active = 0;

    /** The most requests that were in progress at once. */
    std::uint64_t peak = 0;

    /** Requests that `verify_request` did not let in. */
    std::uint64_t rejected = 0;

    /** Requests that were refused because the server was at its limit, or nothing could be had to
        run them. */
    std::uint64_t refused_at_limit = 0;

    /** Requests that were refused because their client had too many. */
    std::uint64_t refused_per_client = 0;

    /** Requests that ended with an exception, time limits and peers that went away aside. */
    std::uint64_t failed = 0;

    /** Requests that a time limit ended. */
    std::uint64_t timed_out = 0;

    /** Requests whose process, or the worker that it belonged to, died of a signal. */
    std::uint64_t crashed = 0;

    /** How often no request could be taken although one was there. */
    std::uint64_t accept_errors = 0;

    /** Bytes that came from clients. */
    std::uint64_t bytes_received = 0;

    /** Bytes that went to clients. */
    std::uint64_t bytes_sent = 0;

    /** Return the numbers in one line, for a log.

        @return The line: `accepted 3, active 1, peak 2, ...`.
    */
    std::string str() const;
};

/** How a server has ended: what its last lines in the log say. */
struct SOCKETSERVER_DECL closing_report
{
    /** Requests that were in progress when the loop ended, and came to their own end. */
    std::uint64_t drained = 0;

    /** Requests that were aborted, and ended. */
    std::uint64_t aborted = 0;

    /** Requests whose process had to be killed. */
    std::uint64_t killed = 0;

    /** Connections and datagrams that were in the system's queue and are lost. */
    std::uint64_t left_in_queue = 0;

    /** How long it took, from the end of the loop on. */
    std::chrono::nanoseconds elapsed{0};

    /** Return the report in one line, for a log.

        @return The line: `3 drained, 0 aborted, 0 killed, 0 left in the queue, in 0.120 s`.
    */
    std::string str() const;
};

} // namespace socketserver

#endif
