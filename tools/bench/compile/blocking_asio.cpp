// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The same service by Asio alone, as one starts to write it.

#include <boost/asio.hpp>

#include <iostream>
#include <string>
#include <thread>

namespace asio = boost::asio;
using asio::ip::tcp;

void greet(tcp::socket socket)
{
    try
    {
        for (std::string input;;)
        {
            auto const n = asio::read_until(socket, asio::dynamic_buffer(input), '\n');
            asio::write(socket, asio::buffer("hello, " + input.substr(0, n)));
            input.erase(0, n);
        }
    }
    catch (std::exception const& e)
    {
        std::cerr << e.what() << '\n';
    }
}

int main()
{
    asio::io_context context;
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 8009));
    for (;;)
        std::thread(greet, acceptor.accept()).detach();
}
