// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_REQUEST_HPP
#define SOCKETSERVER_TEST_SUPPORT_REQUEST_HPP

#include "datagram_peer.hpp"

#include <socketserver/datagram_server.hpp>
#include <socketserver/handler_factory.hpp>
#include <socketserver/memory_transport.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/stream_server.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace support {

inline socketserver::endpoint const client_address("192.0.2.1:1234");

// A request in memory, and what a factory's handler makes of it.
struct request
{
    explicit request(std::string input = {}, std::size_t fails = 0)
        : stream(std::make_unique<socketserver::memory_transport>(std::move(input), record, fails))
    {
    }

    void run(socketserver::handler_factory<socketserver::stream> const& factory)
    {
        factory.run(stream, client_address, server);
    }

    std::shared_ptr<socketserver::memory_transport::record> record =
        std::make_shared<socketserver::memory_transport::record>();
    socketserver::stream stream;
    socketserver::ready<socketserver::tcp_server> server{
        socketserver::defer_activation, "127.0.0.1:0", [](socketserver::stream&) {}};
};

// A request over a real socket, handled in the thread of the test, and its client.
template <class Server>
class datagram_request
{
public:
    datagram_request(socketserver::endpoint const& address,
        socketserver::handler_factory<socketserver::datagram> factory)
        : server_(address, std::move(factory))
        , client_(server_.server_address())
    {
    }

    Server& server() noexcept { return server_; }
    datagram_peer& client() noexcept { return client_; }

    // Has a datagram handled; throws what that threw.
    void ask(std::string_view packet)
    {
        client_.send(packet);
        handle();
    }

    void handle()
    {
        server_.handle_request();
        if (server_.error)
            std::rethrow_exception(std::exchange(server_.error, nullptr));
    }

private:
    class noting : public Server
    {
    public:
        using Server::Server;

        void handle_error(
            socketserver::datagram&, socketserver::endpoint const&, std::exception_ptr e) override
        {
            error = std::move(e);
        }

        std::exception_ptr error;
    };

    socketserver::ready<noting> server_;
    datagram_peer client_;
};

} // namespace support

#endif
