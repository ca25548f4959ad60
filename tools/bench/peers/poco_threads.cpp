// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Poco's TCPServer: a pool of threads, as many as there are clients at most.

#include "sockets.hpp"

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/TCPServer.h>
#include <Poco/Net/TCPServerConnectionFactory.h>
#include <Poco/ThreadPool.h>

namespace {

class session : public Poco::Net::TCPServerConnection
{
public:
    using TCPServerConnection::TCPServerConnection;

    void run() override
    {
        char bytes[buffer_size];
        socket().setNoDelay(true);
        while (int const n = socket().receiveBytes(bytes, sizeof bytes))
            socket().sendBytes(bytes, n);
    }
};

} // namespace

int main()
{
    constexpr int most = 256;
    Poco::ThreadPool threads(2, most);
    Poco::Net::ServerSocket listener(Poco::Net::SocketAddress("127.0.0.1", 0), SOMAXCONN);
    auto* const parameters = new Poco::Net::TCPServerParams;
    parameters->setMaxThreads(most);
    parameters->setMaxQueued(4096);
    Poco::Net::TCPServer server(
        new Poco::Net::TCPServerConnectionFactoryImpl<session>, threads, listener, parameters);
    server.start();
    tell_port(server.port());
    ::pause();
}
