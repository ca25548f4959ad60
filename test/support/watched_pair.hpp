// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_WATCHED_PAIR_HPP
#define SOCKETSERVER_TEST_SUPPORT_WATCHED_PAIR_HPP

#include "strategy/asio_readiness_set.hpp"
#include "strategy/epoll_readiness_set.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <sys/socket.h>
#include <tuple>
#include <unistd.h>

namespace support {

// What coroutines wait in, in both of its forms.
using readiness_sets =
    std::tuple<socketserver::epoll_readiness_set, socketserver::asio_readiness_set>;

inline constexpr auto at_once = std::chrono::steady_clock::time_point::min();
inline constexpr auto for_ever = std::chrono::steady_clock::time_point::max();

// A set that was opened.
template <class Set>
struct opened : Set
{
    opened() { this->open(); }
};

// Two sockets, of which one is watched.  Closed as a stream does it.
template <class Set>
struct watched_pair
{
    explicit watched_pair(Set& s)
        : set(s)
    {
        BOOST_TEST_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    }

    watched_pair(watched_pair const&) = delete;
    watched_pair& operator=(watched_pair const&) = delete;

    ~watched_pair()
    {
        close();
        ::close(ends[1]);
    }

    void close()
    {
        set.forget(known);
        if (ends[0] >= 0)
            ::close(ends[0]);
        ends[0] = -1;
    }

    bool watch(socketserver::wait_direction d) { return set.watch(known, ends[0], d); }
    void say(std::string const& text)
    {
        BOOST_TEST(::write(ends[1], text.data(), text.size()) > 0);
    }

    // Reads until there is nothing, as an operation does that then waits.
    std::string hear()
    {
        std::string text;
        char bytes[100];
        for (ssize_t n; (n = ::recv(ends[0], bytes, sizeof bytes, MSG_DONTWAIT)) > 0;)
            text.append(bytes, static_cast<std::size_t>(n));
        known.readable = false;
        return text;
    }

    // Writes until there is no room.
    void fill()
    {
        std::string const much(4096, 'x');
        while (::send(ends[0], much.data(), much.size(), MSG_DONTWAIT) > 0)
            ;
        known.writable = false;
    }

    void empty()
    {
        char bytes[4096];
        while (::recv(ends[1], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
            ;
    }

    bool is_in(socketserver::readiness_events const& found) const
    {
        return std::find(found.begin(), found.end(), &known) != found.end();
    }

    Set& set;
    int ends[2];
    socketserver::readiness known;
};

template <class Set>
watched_pair(opened<Set>&) -> watched_pair<Set>;

inline bool is_empty(socketserver::readiness_events const& found)
{
    return found.begin() == found.end() && !found.woken;
}

// Whether there is nothing to find; the end of what was forgotten may end the first wait.
template <class Set>
bool finds_nothing(Set& set)
{
    return is_empty(set.wait(at_once)) &&
           is_empty(set.wait(std::chrono::steady_clock::now() + std::chrono::milliseconds(5)));
}

} // namespace support

#endif
