// expect: H is abstract; it must override handle()
// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver.hpp>

class misspelt : public socketserver::stream_request_handler
{
    void hande() {}
};

int main()
{
    socketserver::threading_tcp_server server("127.0.0.1:0", socketserver::handler<misspelt>);
}
