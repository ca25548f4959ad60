// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/make_server.hpp>

#define BOOST_TEST_MODULE make_server
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"
#include "support/datagram_peer.hpp"
#include "support/folder.hpp"

#include <socketserver/datagram_server.hpp>
#include <socketserver/stream_server.hpp>

#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

using namespace socketserver;

namespace {

void answer(stream& s)
{
    s.send_all("yes\n");
}

template <class Server>
class refusing : public Server
{
public:
    using Server::Server;

    bool verify_request(stream&, endpoint const&) override { return false; }
};

template <class Server>
using ready_and_refusing = ready<refusing<Server>>;

// Asks a function, which it takes before all that any server takes, whom it lets in.
template <class Server>
class asking : public Server
{
public:
    template <class Function>
    asking(Function lets_in, endpoint address, handler_factory<stream> handlers)
        : Server(std::move(address), std::move(handlers))
        , lets_in_(std::move(lets_in))
    {
    }

    bool verify_request(stream&, endpoint const& client) override { return lets_in_(client); }

private:
    std::function<bool(endpoint const&)> lets_in_;
};

template <class Server>
using ready_and_asking = ready<asking<Server>>;

// The answer of a server to its one request.
std::string answer_of(base_server& server)
{
    std::jthread const loop([&] { server.handle_request(); });
    return support::client(server.server_address()).all();
}

} // namespace

BOOST_AUTO_TEST_CASE(makes_a_server_that_listens)
{
    for (char const* const text :
        {"synchronous", "threading", "thread-pool", "forking", "fork-server", "coroutine"})
    {
        BOOST_TEST_CONTEXT(text)
        {
            auto const server = make_server<tcp_server>(text, "127.0.0.1:0", answer);
            BOOST_TEST(answer_of(*server) == "yes\n");
        }
    }
}

BOOST_AUTO_TEST_CASE(makes_a_server_of_every_transport)
{
    auto const say_yes = [](auto& request) { request.wfile() << "yes\n"; };
    support::folder const folder;
    auto const path = support::unix_endpoint(folder / "s");
    for (char const* const text :
        {"synchronous", "threading", "thread-pool", "forking", "fork-server", "coroutine"})
    {
        BOOST_TEST_CONTEXT(text)
        {
            BOOST_TEST(answer_of(*make_server<unix_stream_server>(text, path, say_yes)) == "yes\n");
            for (auto const& server : {make_server<udp_server>(text, "127.0.0.1:0", say_yes),
                     make_server<unix_datagram_server>(text, path, say_yes)})
            {
                support::datagram_peer client(server->server_address());
                client.send("is it?");
                server->handle_request();
                BOOST_TEST(client.receive() == "yes\n");
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(puts_hooks_between_the_strategy_and_ready)
{
    auto const server =
        make_server<tcp_server, ready_and_refusing>("threading", "127.0.0.1:0", answer);
    BOOST_TEST(answer_of(*server) == "");
}

BOOST_AUTO_TEST_CASE(gives_a_function_to_a_server_that_takes_one)
{
    auto const nobody = [](auto const& client) { return client.path() == "nobody's"; };
    auto const hooked =
        make_server<tcp_server, ready_and_asking>("threading", nobody, "127.0.0.1:0", answer);
    BOOST_TEST(answer_of(*hooked) == "");
    auto const own = make_server<asking<tcp_server>>("coroutine", nobody, "127.0.0.1:0", answer);
    BOOST_TEST(answer_of(*own) == "");
}

BOOST_AUTO_TEST_CASE(sets_attributes_before_the_server_is_bound)
{
    for (char const* const text :
        {"synchronous", "threading", "thread-pool", "forking", "fork-server", "coroutine"})
    {
        BOOST_TEST_CONTEXT(text)
        {
            int port = -1;
            auto const unbound = configured([&](auto& server) {
                port = server.server_address().port();
                server.max_packet_size = 3;
            });
            auto const server = make_server<udp_server>(text, unbound, "127.0.0.1:0",
                [](datagram& request) { request.wfile() << request.packet(); });
            BOOST_TEST(port == 0);
            support::datagram_peer client(server->server_address());
            client.send("1234");
            server->handle_request();
            BOOST_TEST(client.receive() == "123");
        }
    }
}

BOOST_AUTO_TEST_CASE(sets_attributes_of_the_strategy_but_not_its_numbers)
{
    std::size_t threads = 0;
    auto const set = [&](char const* text) {
        base_server const* made = nullptr;
        auto const server = make_server<tcp_server>(text, configured([&](auto& s) {
            made = &s;
            if constexpr (requires { s.max_threads; })
                s.max_threads = 50;
        }),
            "127.0.0.1:0", answer);
        BOOST_TEST(made == server.get());
        if (auto const* const s = dynamic_cast<threading_mixin<tcp_server>*>(server.get()))
            threads = s->max_threads;
    };
    set("coroutine");
    BOOST_TEST(threads == 0u);
    set("threading");
    BOOST_TEST(threads == 50u);
    set("threading:7");
    BOOST_TEST(threads == 7u);
}

BOOST_AUTO_TEST_CASE(applies_the_numbers)
{
    strategy const choice("preforking:3/threading:7");
    auto const made =
        with_strategy<tcp_server>(choice, [&]<class Server>(std::type_identity<Server>) {
            ready<Server> server(defer_activation, "127.0.0.1:0", answer);
            apply(server, choice);
            if constexpr (std::is_same_v<Server, preforking_mixin<threading_mixin<tcp_server>>>)
                return server.workers == 3 && server.max_threads == 7;
            return false;
        });
    BOOST_TEST(made);
}

BOOST_AUTO_TEST_CASE(names_a_strategy_that_does_not_exist)
{
    BOOST_CHECK_THROW(
        make_server<tcp_server>("fibre", "127.0.0.1:0", answer), std::invalid_argument);
}
