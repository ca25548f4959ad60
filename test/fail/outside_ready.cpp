// expect: a_server_must_be_made_by_ready
// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver.hpp>

int main()
{
    socketserver::threading_mixin<socketserver::tcp_server> server(
        "127.0.0.1:0", [](socketserver::stream&) {});
}
