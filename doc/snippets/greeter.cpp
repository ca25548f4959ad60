// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The first server of the tutorial, and of the README, which must say the same.

// tag::all[]
#include <socketserver.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

class greeter : public socketserver::stream_request_handler
{
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line);)
            wfile() << "hello, " << line << '\n';
    }
};

int main()
try
{
    socketserver::log_to_stderr();
    socketserver::threading_tcp_server server("127.0.0.1:8009", socketserver::handler<greeter>);
    return socketserver::run_until_signal(server);
}
catch (std::exception const& error) // the port is taken, for example
{
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
// end::all[]
