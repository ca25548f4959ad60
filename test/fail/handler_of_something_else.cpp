// expect: must be derived from the request handler
// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver.hpp>

struct no_handler
{
};

int main()
{
    socketserver::threading_tcp_server server("127.0.0.1:0", socketserver::handler<no_handler>);
}
