// expect: a callable that can be called as const with
// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver.hpp>

int main()
{
    int count = 0;
    socketserver::threading_tcp_server server(
        "127.0.0.1:0", [count](socketserver::stream&) mutable { ++count; });
}
