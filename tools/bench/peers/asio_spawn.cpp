// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// A stackful coroutine of Asio's a client.  By default on the stacks that asio::spawn takes by
// itself; with the argument "pooled", on those of Boost.Context's pool.

#include "sockets.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/spawn.hpp>
#include <boost/asio/write.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>

#include <memory>
#include <string_view>

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

void session(tcp::socket& client, asio::yield_context const& yield)
{
    boost::system::error_code ec;
    client.set_option(tcp::no_delay(true), ec);
    char bytes[buffer_size];
    while (auto const n = client.async_read_some(asio::buffer(bytes), yield[ec]))
        asio::async_write(client, asio::buffer(bytes, n), yield[ec]);
}

template <class MakeStack>
void serve(asio::io_context& context, MakeStack stack)
{
    asio::spawn(
        context,
        [&context, stack](asio::yield_context const& yield) {
            tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
            tell_port(acceptor.local_endpoint().port());
            for (;;)
            {
                auto client = std::make_shared<tcp::socket>(acceptor.async_accept(yield));
                asio::spawn(
                    context, std::allocator_arg, stack(),
                    [client](asio::yield_context const& y) { session(*client, y); },
                    asio::detached);
            }
        },
        asio::detached);
    context.run();
}

} // namespace

int main(int argc, char** argv)
{
    asio::io_context context(1);
    boost::context::pooled_fixedsize_stack const pool;
    if (argc > 1 && std::string_view(argv[1]) == "pooled")
        serve(context, [&pool] { return boost::context::pooled_fixedsize_stack(pool); });
    else
        serve(context, [] { return boost::context::fixedsize_stack(); });
}
