// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Sends lines to a server and prints what it answers to each: the client has the same stream as a
// handler.
//
//     echo_client 127.0.0.1:8009 hello world
//     echo_client 127.0.0.1:8009 < lines.txt

#include <socketserver.hpp>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

// Ask the server, and print its answer.
void ask(socketserver::stream& server, std::string_view text)
{
    // No flush: what was written is sent before the stream waits for the answer.
    server.wfile() << text << '\n';
    std::string answer;
    if (!server.read_line(answer))
        throw std::runtime_error("the server has ended the conversation");
    std::cout << answer << std::endl;
}

int main(int argc, char* argv[])
try
{
    if (argc < 2)
    {
        std::cerr << "usage: echo_client ENDPOINT [TEXT...]\n";
        return EXIT_FAILURE;
    }
    auto server = socketserver::connect(argv[1], std::chrono::seconds(5));
    server.timeout(std::chrono::seconds(5));
    if (argc > 2)
    {
        for (std::string_view const text : std::span(argv, argc).subspan(2))
            ask(server, text);
    }
    else
    {
        for (std::string line; std::getline(std::cin, line);)
            ask(server, line);
    }
    return EXIT_SUCCESS;
}
catch (std::exception const& e)
{
    std::cerr << "echo_client: " << e.what() << '\n';
    return EXIT_FAILURE;
}
