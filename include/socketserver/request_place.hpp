// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_REQUEST_PLACE_HPP
#define SOCKETSERVER_REQUEST_PLACE_HPP

#include <socketserver/config.hpp>

#include <array>
#include <atomic>
#include <cstdint>

namespace socketserver {

class request_counts;

/** A request's place among those that are in progress: what limits and counters go by.

    Whoever runs the request holds it, and gives it back when the handler has returned, before the
    client can hear of it: the loop, a thread, a coroutine. A child process gives back what its
    parent holds; where it does not come to that, the parent does when it has reaped it.

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

    /** Give the place back, unless that was done. */
    ~request_place();

    /** Give the place back.

        @param aborted In a child, whether the request was aborted: how it is counted if the server
        is closing.
    */
    void give_back(bool aborted = false) noexcept;

    /** Let a child process that is about to be forked give the place back. */
    void share() noexcept;

    /** Let a child process that another process forks give the place back.

        @param fate What becomes of it; in memory that the processes share, 0, and left alone until
        this place is given back here.
    */
    void share(std::atomic<unsigned char>& fate) noexcept;

    /** Take back what @ref share has begun: there is no child. */
    void keep() noexcept;

    /** Count the request as one whose process died of a signal, and give the place back. */
    void crashed() noexcept;

    /** Count the request as one that was refused, because nothing could be had to run it, and give
        the place back. */
    void refused() noexcept;

    /** Go on in a process that was just forked: the place is the parent's, and is given back here
        only if it is shared. */
    void after_fork() noexcept;

    /** Return what a limit per client knows the client by. */
    client_key const& client() const noexcept { return client_; }

private:
    friend class request_counts;

    request_place(request_counts& counts, client_key const& client) noexcept;

    unsigned char said() const noexcept;

    request_counts* counts_ = nullptr;
    client_key client_{};
    std::atomic<unsigned char>* fate_ = nullptr;
    std::uint32_t generation_ = 0;
    bool in_child_ = false;
};

} // namespace socketserver

#endif
