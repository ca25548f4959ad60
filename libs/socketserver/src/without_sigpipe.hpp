// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_WITHOUT_SIGPIPE_HPP
#define SOCKETSERVER_SRC_WITHOUT_SIGPIPE_HPP

#include <cerrno>
#include <csignal>
#include <ctime>
#include <pthread.h>

namespace socketserver {

// Keeps SIGPIPE from the thread during sendfile(2), which has no MSG_NOSIGNAL: one of ours is taken
// back before it is delivered.
class without_sigpipe
{
public:
    without_sigpipe() noexcept
    {
        ::sigemptyset(&sigpipe_);
        ::sigaddset(&sigpipe_, SIGPIPE);
        sigset_t pending;
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
        ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
    }

    ~without_sigpipe()
    {
        int const error = errno;
        timespec const at_once{};
        if (!was_pending_)
            ::sigtimedwait(&sigpipe_, nullptr, &at_once);
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
        errno = error;
    }

private:
    sigset_t sigpipe_;
    sigset_t before_;
    bool was_pending_;
};

} // namespace socketserver

#endif
