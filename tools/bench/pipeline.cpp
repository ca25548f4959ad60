// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What the hooks of a server and of a mixin around it add to a conversation, in nanoseconds a
// connection: the same conversation in memory, through the pipeline and without it.

#include <socketserver/memory_transport.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/request_handler.hpp>
#include <socketserver/request_pipeline.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

using namespace socketserver;

namespace {

void converse(stream& request)
{
    char bytes[64];
    boost::system::error_code ec;
    while (auto const n = request.read_some(boost::asio::buffer(bytes), ec))
        request.send_all({bytes, n});
}

request_pipeline<stream>::accepted connection(endpoint const& client)
{
    return {stream(std::make_unique<memory_transport>("a message")), client};
}

class handler_of_one : public stream_request_handler
{
    void handle() override { converse(request()); }
};

// Its clients are always there.
class memory_server : public request_pipeline<stream>
{
public:
    explicit memory_server(handler_factory<stream> handlers)
        : request_pipeline(std::move(handlers))
    {
    }

    ~memory_server() override { close_listener(); }

    std::optional<accepted> get_request() override { return connection(client_); }

    void serve(int requests)
    {
        for (int i = 0; i < requests; ++i)
            take_request();
    }

    endpoint const& client() const noexcept { return client_; }

    int fileno() const noexcept override { return descriptor_; }
    endpoint const& server_address() const noexcept override { return client_; }
    void server_bind() override { descriptor_ = ::eventfd(0, EFD_CLOEXEC); }
    void server_activate() override {}

protected:
    void close_listener() noexcept override
    {
        if (int const fd = std::exchange(descriptor_, -1); fd >= 0)
            ::close(fd);
    }

private:
    endpoint client_{"192.0.2.1:1234"};
    int descriptor_ = -1;
};

// Extends every hook, as a strategy, an access list and a logger together may.
template <class Server>
class extending_mixin : public Server
{
public:
    using Server::Server;

    std::optional<typename Server::accepted> get_request() override
    {
        return Server::get_request();
    }

    bool verify_request(stream& request, endpoint const& client) override
    {
        return Server::verify_request(request, client);
    }

    void process_request(stream& request, endpoint const& client) override
    {
        Server::process_request(request, client);
    }

    void finish_request(stream& request, endpoint const& client) override
    {
        Server::finish_request(request, client);
    }

    void shutdown_request(stream& request) override { Server::shutdown_request(request); }
    void close_request(stream& request) override { Server::close_request(request); }
};

// The quickest of many batches: whatever disturbs one makes it slower.
template <class Batch>
double nanoseconds_each(Batch const& batch)
{
    constexpr int size = 2000;
    auto quickest = std::numeric_limits<double>::max();
    for (int i = 0; i < 300; ++i)
    {
        auto const begin = std::chrono::steady_clock::now();
        batch(size);
        std::chrono::duration<double, std::nano> const took =
            std::chrono::steady_clock::now() - begin;
        quickest = std::min(quickest, took.count() / size);
    }
    return quickest;
}

} // namespace

int main()
{
    ready<extending_mixin<memory_server>> server(handler<handler_of_one>);
    auto const direct = nanoseconds_each([&server](int n) {
        for (int i = 0; i < n; ++i)
        {
            auto c = connection(server.client());
            converse(c.request);
            c.request.close();
        }
    });
    auto const through = nanoseconds_each([&server](int n) { server.serve(n); });
    std::cout << through - direct << " ns: " << direct << " without the pipeline, " << through
              << " through it\n";
}
