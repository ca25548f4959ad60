// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// A bounded load of an echo server, from plain sockets: short connections, or messages on open
// ones.  It stops by itself.

#include <socketserver/endpoint.hpp>

#include <boost/program_options.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace options = boost::program_options;

namespace {

constexpr std::size_t message_size = 32;

int open_connection(socketserver::endpoint const& server)
{
    auto const* const address = static_cast<sockaddr const*>(server.data());
    int const fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ::connect(fd, address, static_cast<socklen_t>(server.size())) < 0)
    {
        std::perror("connect");
        std::exit(EXIT_FAILURE);
    }
    return fd;
}

void exchange_message(int fd)
{
    char message[message_size] = {};
    std::size_t received = 0;
    if (::send(fd, message, sizeof message, MSG_NOSIGNAL) != sizeof message)
        std::exit(EXIT_FAILURE);
    while (received < sizeof message)
    {
        auto const n = ::recv(fd, message, sizeof message - received, 0);
        if (n <= 0)
            std::exit(EXIT_FAILURE);
        received += static_cast<std::size_t>(n);
    }
}

} // namespace

int main(int argc, char** argv)
{
    options::options_description known("load: options");
    std::string address;
    std::size_t at_once = 0;
    std::size_t count = 0;
    // clang-format off
    known.add_options()
        ("help", "this text")
        ("connect", options::value(&address)->required(), "the echo server")
        ("clients", options::value(&at_once)->default_value(16), "how many at once")
        ("count", options::value(&count)->default_value(20000), "operations in all")
        ("messages", "an operation is a message on an open connection, not a connection");
    // clang-format on
    try
    {
        options::variables_map given;
        options::store(options::parse_command_line(argc, argv, known), given);
        if (given.count("help"))
        {
            std::cout << known;
            return EXIT_SUCCESS;
        }
        options::notify(given);

        socketserver::endpoint const server(address);
        bool const messages = given.count("messages") != 0;
        std::atomic<std::size_t> left(count);
        auto const take = [&left] {
            auto n = left.load();
            while (n != 0 && !left.compare_exchange_weak(n, n - 1))
            {
            }
            return n != 0;
        };
        std::vector<std::jthread> clients;
        for (std::size_t i = 0; i < at_once; ++i)
            clients.emplace_back([&] {
                int fd = messages ? open_connection(server) : -1;
                while (take())
                {
                    if (!messages)
                        fd = open_connection(server);
                    exchange_message(fd);
                    if (!messages)
                        ::close(fd);
                }
                if (messages)
                    ::close(fd);
            });
        return EXIT_SUCCESS;
    }
    catch (std::exception const& e)
    {
        std::cerr << "load: " << e.what() << '\n';
        return 2;
    }
}
