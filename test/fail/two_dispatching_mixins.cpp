// expect: this server already has a dispatching mixin
// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver.hpp>

using namespace socketserver;

ready<threading_mixin<forking_mixin<tcp_server>>>* server;

int main()
{
    return server->fileno();
}
