// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_THREAD_SIGNALS_HPP
#define SOCKETSERVER_SRC_THREAD_SIGNALS_HPP

#include <csignal>
#include <pthread.h>

namespace socketserver {

// The program's signals are for the threads that it made itself; what a thread brings upon itself
// is its own.
inline void block_signals_of_others() noexcept
{
    sigset_t mask;
    ::sigfillset(&mask);
    for (int const own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS})
        ::sigdelset(&mask, own);
    ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
}

} // namespace socketserver

#endif
