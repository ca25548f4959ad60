// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_PROCESS_SET_HPP
#define SOCKETSERVER_STRATEGY_PROCESS_SET_HPP

#include <socketserver/base_server.hpp>
#include <socketserver/config.hpp>

#include <cstddef>
#include <vector>

namespace socketserver {

/** The processes that run requests, whoever forks them: what @ref forking_mixin talks to.

    @par Thread safety
    All members but @ref after_fork may be called from any thread.
*/
class SOCKETSERVER_DECL process_set : public event_source
{
public:
    /** Return how many there are, the ended ones that were not collected included. */
    virtual std::size_t size() const noexcept = 0;

    /** Return the process numbers.

        @return The numbers, in no order.
    */
    virtual std::vector<int> pids() const = 0;

    /** Send each of them a signal.

        @param number The signal.
    */
    virtual void signal(int number) noexcept = 0;

    /** Kill all of them, and wait until they are gone. */
    virtual void kill() noexcept = 0;

    /** Take notice of those that have ended, without waiting, and report crashes. */
    virtual void collect() = 0;

    /** Begin anew, without processes, in a process that was just forked. */
    virtual void after_fork() = 0;
};

} // namespace socketserver

#endif
