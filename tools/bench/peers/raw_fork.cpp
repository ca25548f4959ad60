// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// A child process a client, by bare system calls.

#include "sockets.hpp"

#include <sys/wait.h>

int main()
{
    int const listener = listen_on_loopback();
    for (;;)
    {
        int const fd = accept_client(listener);
        if (fd < 0)
            continue;
        auto const child = ::fork();
        if (child == 0)
        {
            ::close(listener);
            echo_and_close(fd);
            ::_exit(0);
        }
        ::close(fd);
        while (::waitpid(-1, nullptr, WNOHANG) > 0)
        {
        }
    }
}
