// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// A server and its client in one program.  A coroutine, because it needs every library that a
// program can need.

#include <socketserver.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>

class greeter : public socketserver::stream_request_handler
{
    void handle() override
    {
        std::string name;
        if (request().read_line(name))
            wfile() << "hello, " << name << '\n';
    }
};

int main()
{
    socketserver::log_to_stderr();
    socketserver::coroutine_tcp_server server("127.0.0.1:0", socketserver::handler<greeter>);
    std::jthread const loop([&] { server.serve_forever(); });

    auto client = socketserver::connect(server.server_address(), std::chrono::seconds(5));
    client.timeout(std::chrono::seconds(5));
    client.wfile() << "world\n";
    std::string answer;
    client.read_line(answer);
    std::cout << answer << std::endl;
    server.shutdown();
}
