// expect only: a function that sets its attributes before it is bound is given as configured(f)
// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver.hpp>

using namespace socketserver;

int main()
{
    auto const set = [](auto& server) { server.request_queue_size = 100; };
    make_server<tcp_server>("coroutine", set, "127.0.0.1:0", [](stream&) {});
}
