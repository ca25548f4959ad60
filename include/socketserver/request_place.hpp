// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_REQUEST_PLACE_HPP
#define SOCKETSERVER_REQUEST_PLACE_HPP

#include <socketserver/config.hpp>

#include <array>

namespace socketserver {

class request_counts;

/** A request's place among those that are in progress: what limits and counters go by.

    Whoever runs the request holds it, and gives it back by destroying it when the request has
    ended: the loop, a thread, a coroutine, or the parent of a child process.

    @par Thread safety
    Distinct objects are independent. It must not outlive the server.
*/
class SOCKETSERVER_DECL request_place
{
public:
    /** What a limit per client knows a client by; all zeros for one that no such limit is for. */
    using client_key = std::array<unsigned char, 16>;

    /** No place. */
    request_place() noexcept = default;

    /** Take over a place.

        @param other The place; none afterwards.
    */
    request_place(request_place&& other) noexcept;

    /** Take over a place.

        @param other The place; has what this one had afterwards.
        @return This.
    */
    request_place& operator=(request_place&& other) noexcept;

    /** Give the place back. */
    ~request_place();

    /** Count the request as one whose process died of a signal, and give the place back. */
    void crashed() noexcept;

    /** Count the request as one that was refused, because nothing could be had to run it, and give
        the place back. */
    void refused() noexcept;

    /** Have no place, without giving it back: in a process that was just forked, because the place
        is the parent's. */
    void forget() noexcept;

private:
    friend class request_counts;

    request_place(request_counts& counts, client_key const& client) noexcept;

    request_counts* counts_ = nullptr;
    client_key client_{};
};

} // namespace socketserver

#endif
