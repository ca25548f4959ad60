// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// A std::thread a client, on Asio's blocking calls: the server that everybody writes first.

#include "sockets.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <thread>
#include <utility>

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

void session(tcp::socket client)
{
    boost::system::error_code ec;
    client.set_option(tcp::no_delay(true), ec);
    char bytes[buffer_size];
    while (auto const n = client.read_some(asio::buffer(bytes), ec))
        asio::write(client, asio::buffer(bytes, n), ec);
}

} // namespace

int main()
{
    asio::io_context context;
    tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
    tell_port(acceptor.local_endpoint().port());
    for (;;)
        std::thread(session, acceptor.accept()).detach();
}
