// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_CRASH_REPORT_HPP
#define SOCKETSERVER_SRC_CRASH_REPORT_HPP

#include <socketserver/endpoint.hpp>

#include <atomic>
#include <initializer_list>

// What a process that crashes leaves behind for the one that watches it: whose request it was.
//
// It costs a request nothing: the handler of the signal looks at the request that its thread runs.
namespace socketserver::crash_report {

// In memory that both processes share.
struct record
{
    std::atomic<int> signal{0};
    bool has_client = false;
    endpoint client;
};

// Fills in the record when this process brings a deadly signal upon itself.  What the program, or
// the system, does about the signal comes after that, unchanged.  In the only thread of a process.
void begin(record& where) noexcept;

// From now on, in a child: its end is told by another.
void end() noexcept;

// Gives the calling thread a stack to report from, if it has none: it may have run over its own.
void cover_this_thread() noexcept;

} // namespace socketserver::crash_report

#endif
