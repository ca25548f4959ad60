// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_LOOP_WAIT_HPP
#define SOCKETSERVER_SRC_LOOP_WAIT_HPP

#include <chrono>

namespace socketserver {

class event_source;

// The one wait of a turn of the loop, on up to three descriptors.
//
// By poll(2), or, where processes share the listener, in an epoll set of its own with the listener
// in it under EPOLLEXCLUSIVE: poll would wake all of them for every connection.  A source that has no
// descriptor waits itself, for the others' as well.
class loop_wait
{
public:
    using clock = std::chrono::steady_clock;

    struct ready
    {
        bool listener = false;
        bool wake = false;
        bool source = false;
    };

    explicit loop_wait(bool listener_is_shared);
    ~loop_wait();

    loop_wait(loop_wait const&) = delete;
    loop_wait& operator=(loop_wait const&) = delete;

    // Waits until one of the descriptors is readable, the source has something to do, or the time
    // has come; -1 and null stand for none.
    ready operator()(int listener, int wake, event_source* source, clock::time_point until);

private:
    ready by_epoll(int listener, int milliseconds);
    void watch(int& watched, int wanted, unsigned events, unsigned which);

    int set_ = -1;
    int listener_ = -1;
    int wake_ = -1;
    int source_ = -1;
};

} // namespace socketserver

#endif
