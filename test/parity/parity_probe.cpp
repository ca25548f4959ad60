// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// A server that can be told to be any server, to fail at any step and to report every step: the
// contract in README.md beside this file.  reference_probe.py is the same program in Python.

#include "options.hpp"
#include "serve.hpp"

#include <socketserver/log.hpp>

#include <csignal>
#include <cstdio>
#include <sys/resource.h>

using namespace parity;

namespace {

void limit_descriptors()
{
    if (auto const most = option<rlim_t>("nofile"))
    {
        rlimit const limit{*most, *most};
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

// It interrupts what waits.
void ignore_sigusr1_with_a_handler()
{
    struct sigaction nothing = {};
    nothing.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &nothing, nullptr);
}

} // namespace

int main(int argc, char** argv)
{
    read_command_line(argc, argv);
    socketserver::log_to_stderr();
    // What a handler prints waits here, and is lost with a child that leaves without flushing.
    std::setvbuf(stdout, nullptr, _IOFBF, BUFSIZ);
    ignore_sigusr1_with_a_handler();
    limit_descriptors();

    bool const is_unix = word("family") == "unix";
    if (word("type") == "stream")
        is_unix ? serve_unix_streams() : serve_tcp();
    else
        is_unix ? serve_unix_datagrams() : serve_udp();
}
