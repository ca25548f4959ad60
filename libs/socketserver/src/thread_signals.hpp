// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_THREAD_SIGNALS_HPP
#define SOCKETSERVER_SRC_THREAD_SIGNALS_HPP

#include "crash_report.hpp"

#include <csignal>
#include <pthread.h>

namespace socketserver {

// What a crash is told by.
inline constexpr int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// For a thread of the library's that runs requests.  The program's signals are for the threads that
// it made itself; what a thread brings upon itself is its own, and reported.
inline void block_signals_of_others() noexcept
{
    sigset_t mask;
    ::sigfillset(&mask);
    for (int const own : crash_signals)
        ::sigdelset(&mask, own);
    for (int const own : {SIGTRAP, SIGSYS})
        ::sigdelset(&mask, own);
    ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
    crash_report::cover_this_thread();
}

} // namespace socketserver

#endif
