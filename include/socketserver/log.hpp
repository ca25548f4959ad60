// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_LOG_HPP
#define SOCKETSERVER_LOG_HPP

#include <string_view>

#include <socketserver/config.hpp>

namespace socketserver {

/** How much a log line matters, from least to most.

    The names and the order are those of `boost::log::trivial::severity_level`, which is what a
    record of the library carries.
*/
enum class log_severity
{
    /** Each step, for whoever debugs the library. */
    trace,
    /** What is normal and frequent: a peer that went away. */
    debug,
    /** What happens a few times in the life of a server: it listens, it stops. */
    info,
    /** What the operator may want to change: a limit is reached, accepting fails. */
    warning,
    /** A request that failed: an exception left its handler. */
    error,
    /** The program cannot go on. */
    fatal
};

/** Let the program's log lines go to standard error: what a program without sinks of its own calls
    first.

    It adds a sink to Boost.Log, which thereby no longer uses its default sink, and so takes the
    records of the whole program: one line each, the time in UTC, the severity and the message.

    @code
    2026-01-31T12:34:56.789Z info: 127.0.0.1:8009: listening
    @endcode

    A message cannot forge a line or steer a terminal: control characters, a backslash and bytes
    that are not UTF-8 are written as `\n`, `\\` or `\x1b`. A line is cut at `PIPE_BUF` bytes, so
    that it is never mixed with that of another process.

    The sink has no thread and no lock, and works in a forked child. It never waits: if standard
    error would block or is closed, the line is dropped, and the next that is written says so:
    `error (3 lines dropped): ...`. Each process counts its own. (The kernel offers no more than
    to ask first: a process that fills the same pipe at the same moment can still make a write
    wait.)

    Calling it again changes the level and adds no second sink. Where the program has sinks of
    its own, they stay, and get their records as before.

    @param level The least severity that is written and that the library logs at all; a record of
    the program's without a severity counts as `info`.

    @par Thread safety
    Safe, but call it before the program forks or starts threads: Boost.Log takes a lock here.

    @throws std::bad_alloc
*/
SOCKETSERVER_DECL void log_to_stderr(log_severity level = log_severity::info);

/** Choose what the library logs: what a program with Boost.Log sinks of its own calls, after it
    has added them.

    Records carry the attributes `Channel` (`socketserver`), `Severity` (a
    `boost::log::trivial::severity_level`) and `Message` (a `std::string`), for the filters of
    the program's sinks. What the sinks promise about waiting, forking and hostile text in
    messages is theirs.

    Until this or @ref log_to_stderr is called, the library logs nothing below `warning`, and
    writes the rest to standard error as @ref log_to_stderr describes, past Boost.Log: without a
    sink of the program's, Boost.Log would write it to standard output.

    @param level The least severity that the library logs. It is the level of @ref log_to_stderr
    too.

    @par Thread safety
    Safe.

    @throws std::bad_alloc
*/
SOCKETSERVER_DECL void log_level(log_severity level);

/** Whether the library logs at this severity: ask before composing a costly message.

    @param severity The severity of the message.

    @return `true` if @ref log would pass it on.

    @par Thread safety
    Safe, and costs one relaxed atomic load.

    @throws Nothing.
*/
SOCKETSERVER_DECL bool log_enabled(log_severity severity) noexcept;

/** Log one message in the channel `socketserver`.

    It does nothing unless @ref log_enabled. It leaves `errno` alone, and what a sink of the
    program's throws is lost with the record.

    @param severity How much it matters.

    @param message One line, without a newline at its end. Any bytes.

    @par Thread safety
    Safe, from a forked child too.

    @throws Nothing.
*/
SOCKETSERVER_DECL void log(log_severity severity, std::string_view message) noexcept;

} // namespace socketserver

#endif
