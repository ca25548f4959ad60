// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Two child processes that share a listener, each with one client at a time, by bare system calls.

#include "sockets.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>

int main()
{
    int const listener = listen_on_loopback();
    for (int i = 0; i < 2; ++i)
        if (::fork() == 0)
        {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
            {
                int const fd = accept_client(listener);
                if (fd >= 0)
                    echo_and_close(fd);
            }
        }
    while (::wait(nullptr) > 0)
    {
    }
}
