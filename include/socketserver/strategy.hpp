// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_HPP
#define SOCKETSERVER_STRATEGY_HPP

#include <socketserver/config.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace socketserver {

/** A strategy named by text, for programs that choose at run time.

    `NAME[:N]`, or `preforking[:WORKERS]` alone or before `/NAME[:N]`:

    | text | N is |
    | --- | --- |
    | `synchronous` | - |
    | `threading[:N]` | most threads (1000) |
    | `thread-pool[:N]` | threads (4 a core, at least 8), with a queue as long |
    | `forking[:N]` | most child processes (40) |
    | `fork-server[:N]` | the same, forked by a process that is made when the server is |
    | `coroutine[:N]` | threads that run coroutines (1) |
    | `preforking[:N]` | worker processes (one a core) |

    For example `thread-pool:16` or `preforking:4/coroutine`.
*/
class SOCKETSERVER_DECL strategy
{
public:
    /** Who runs a request. */
    enum class dispatch
    {
        /** The loop itself. */
        synchronous,
        /** A thread of its own. */
        threading,
        /** One of a fixed number of threads. */
        thread_pool,
        /** A child process of its own. */
        forking,
        /** A child process of its own, forked by another process than this. */
        fork_server,
        /** A coroutine of its own. */
        coroutine
    };

    /** The synchronous strategy. */
    strategy() noexcept = default;

    /** Parse a text.

        @param text The text.
        @throws std::invalid_argument It names no strategy; the message names the text and says
        what is possible.
    */
    strategy(std::string_view text);

    /** Parse a text.

        @param text The text.
        @throws std::invalid_argument As above.
    */
    strategy(char const* text)
        : strategy(std::string_view(text))
    {
    }

    /** Parse a text.

        @param text The text.
        @throws std::invalid_argument As above.
    */
    strategy(std::string const& text)
        : strategy(std::string_view(text))
    {
    }

    /** Return whether worker processes serve.

        @return True for `preforking`.
    */
    bool preforks() const noexcept { return preforks_; }

    /** Return how many worker processes were asked for.

        @return The number; none for the default.
    */
    std::optional<std::size_t> workers() const noexcept { return workers_; }

    /** Return whether requests run in other processes than the one that makes the server.

        Then what a handler changes in memory is not seen by the others: a chat, for example,
        refuses such a strategy.

        @return True for `forking`, `fork-server` and `preforking`.
    */
    bool forks() const noexcept
    {
        return preforks_ || dispatching_ == dispatch::forking ||
               dispatching_ == dispatch::fork_server;
    }

    /** Return who runs a request.

        @return The way.
    */
    dispatch dispatching() const noexcept { return dispatching_; }

    /** Return the N of who runs a request.

        @return The number; none for the default.
    */
    std::optional<std::size_t> limit() const noexcept { return limit_; }

    /** Return the text that gives this strategy.

        @return The text.
    */
    std::string str() const;

private:
    bool preforks_ = false;
    std::optional<std::size_t> workers_;
    dispatch dispatching_ = dispatch::synchronous;
    std::optional<std::size_t> limit_;
};

} // namespace socketserver

#endif
