// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_READINESS_SET_HPP
#define SOCKETSERVER_SRC_STRATEGY_READINESS_SET_HPP

// What coroutines wait in: a set of descriptors, which tells those that have become ready.  There
// are two, of the same members:
//
//   open()                throws system_error where there is no descriptor for it
//   allow_wake()          from now on wake() ends a wait; likewise.  Opens the set as well
//   wake()                by any thread, and by a signal handler
//   watch(r, fd, d)       from now on, or once, r hears that fd is ready; false with errno
//   unwatch(r, fd)        takes fd out of the set; closing it does that as well
//   forget(r)             before fd is closed, or given away
//   wait(until)           at once (the earliest time), up to a time, or for ever (the latest)
//   descriptor()          what is readable when there is something to find, or -1
//   wait_with(others, until, found)
//                         where there is no such descriptor: waits for others' as well
//   leave()               in a process that was just forked: closes what it has of the parent's set,
//                         which it does not touch
//
// All but wake() belong to one thread.

#if defined(__linux__) && !defined(SOCKETSERVER_COROUTINES_WAIT_BY_ASIO)

#    include "epoll_readiness_set.hpp"

namespace socketserver {
using readiness_set = epoll_readiness_set;
}

#else

#    include "asio_readiness_set.hpp"

namespace socketserver {
using readiness_set = asio_readiness_set;
}

#endif

#endif
