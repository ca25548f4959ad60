// expect only: a strategy is chosen for a server class that has none yet
// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver.hpp>

using namespace socketserver;

int main()
{
    make_server<threading_mixin<tcp_server>>("coroutine", "127.0.0.1:0", [](stream&) {});
}
