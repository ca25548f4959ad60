// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// One client at a time, by bare system calls: the least that a synchronous server can do.

#include "sockets.hpp"

int main()
{
    int const listener = listen_on_loopback();
    for (;;)
    {
        int const fd = accept_client(listener);
        if (fd >= 0)
            echo_and_close(fd);
    }
}
