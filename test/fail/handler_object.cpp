// expect only: what handles requests is handler<H>
// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver.hpp>

class greeter : public socketserver::stream_request_handler
{
    void handle() override { wfile() << "hello\n"; }
};

int main()
{
    socketserver::threading_tcp_server server("127.0.0.1:0", greeter());
}
