// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What a request is on its way to the child: of every transport, and as the hooks have left it.

#include <socketserver/strategy/fork_server.hpp>

#define BOOST_TEST_MODULE fork_server_requests

#include "support/client.hpp"
#include "support/datagram_peer.hpp"
#include "support/folder.hpp"
#include "support/served.hpp"

#include <socketserver/datagram_server.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/strategy/forking_mixin.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <unistd.h>
#include <utility>

using namespace std::chrono_literals;
using namespace socketserver;
using support::client;
using support::datagram_peer;

namespace {

// Has a fork server from its first moment on, and a hook that prepares each request.
template <class Server>
class by_fork_server : public forking_mixin<Server>
{
public:
    using request = typename Server::request_type;

    template <class Handler>
    by_fork_server(endpoint address, std::function<void(request&)> prepare, Handler handler)
        : forking_mixin<Server>(std::move(address), std::move(handler))
        , prepare_(std::move(prepare))
    {
    }

    void server_activate() override
    {
        forking_mixin<Server>::server_activate();
        this->start_fork_server();
    }

    bool verify_request(request& r, endpoint const&) override
    {
        prepare_(r);
        return true;
    }

private:
    std::function<void(request&)> prepare_;
};

template <class Server>
using served = support::served<ready<by_fork_server<Server>>>;

pid_t const test_process = ::getpid();

// Reads a line of a request, and begins the answer.
auto const begins = [](auto& request) {
    std::string line;
    std::getline(request.rfile(), line);
    request.wfile() << "begun with " << line << ", ";
};

// Goes on from there, in whatever process.
auto const goes_on = [](auto& request) {
    std::string line;
    std::getline(request.rfile(), line);
    request.wfile() << "ended with " << line << (::getpid() == test_process ? " here" : " there");
};

auto const says_who = [](auto& request) {
    auto const who = request.peer_credentials();
    request.wfile() << (who ? std::to_string(who->pid) + ' ' + std::to_string(who->uid) : "nobody");
};

std::string own_credentials()
{
    return std::to_string(::getpid()) + ' ' + std::to_string(::geteuid());
}

auto const nothing = [](auto&) {};

// Makes what a process makes once and keeps.
struct first_use
{
    first_use() { ready<tcp_server> const server("127.0.0.1:0", nothing); }
};

} // namespace

BOOST_TEST_GLOBAL_FIXTURE(first_use);

BOOST_AUTO_TEST_CASE(a_connection_goes_on_where_the_hooks_have_left_it)
{
    auto const check = [](auto const& server) {
        client c = server.connect();
        // The second line is read ahead with the first.
        c.send("one\ntwo\n");
        BOOST_TEST(c.all() == "begun with one, ended with two there");
    };
    check(served<tcp_server>("127.0.0.1:0", begins, goes_on));
    support::folder const folder;
    check(served<unix_stream_server>(support::unix_endpoint(folder / "s"), begins, goes_on));
}

BOOST_AUTO_TEST_CASE(a_datagram_goes_on_where_the_hooks_have_left_it)
{
    auto const check = [](auto& server) {
        datagram_peer c(server.server().server_address());
        // Short ones travel in the message, long ones in a file.
        for (std::size_t const length : {3, 20'000, 60'000})
        {
            std::string const text(length, 'x');
            c.send("one\n" + text);
            BOOST_TEST(c.receive() == "begun with one, ended with " + text + " there");
        }
    };
    {
        served<udp_server> server("127.0.0.1:0", begins, goes_on);
        check(server);
    }
    support::folder const folder;
    served<unix_datagram_server> server(support::unix_endpoint(folder / "s"), begins, goes_on);
    check(server);
}

BOOST_AUTO_TEST_CASE(an_empty_and_a_truncated_datagram_stay_so)
{
    class of_few_bytes : public udp_server
    {
    public:
        of_few_bytes(endpoint address, handler_factory<datagram> handlers)
            : udp_server(std::move(address), std::move(handlers))
        {
            max_packet_size = 4;
        }
    };
    served<of_few_bytes> server("127.0.0.1:0", nothing, [](datagram& d) {
        d.wfile() << '[' << d.packet() << ']' << (d.truncated() ? " cut" : "");
    });
    datagram_peer c(server->server_address());
    c.send("");
    BOOST_TEST(c.receive() == "[]");
    c.send("four");
    BOOST_TEST(c.receive() == "[four]");
    c.send("fiver");
    BOOST_TEST(c.receive() == "[five] cut");
}

BOOST_AUTO_TEST_CASE(a_datagram_is_answered_from_the_address_that_was_asked)
{
    served<udp_server> server(
        "0.0.0.0:0", nothing, [](datagram& d) { d.wfile() << d.sender().str(); });
    endpoint const asked("127.0.0.2:" + std::to_string(server->server_address().port()));
    datagram_peer c(asked);
    c.send("from where?");
    endpoint from;
    auto const seen = c.receive(from);
    BOOST_TEST(from == asked);
    BOOST_TEST(endpoint(seen).port() == c.name().port());
}

BOOST_AUTO_TEST_CASE(the_system_vouches_for_a_unix_client_in_the_child_too)
{
    support::folder const folder;
    auto const path = support::unix_endpoint(folder / "s");
    {
        served<unix_stream_server> server(path, nothing, says_who);
        BOOST_TEST(server.connect().all() == own_credentials());
    }
    served<unix_datagram_server> server(path, nothing, says_who);
    datagram_peer c(path);
    c.send("who?");
    BOOST_TEST(c.receive() == own_credentials());
}

BOOST_AUTO_TEST_CASE(a_limit_that_a_hook_has_lifted_is_lifted_in_the_child)
{
    served<tcp_server> server(
        "127.0.0.1:0",
        [](stream& s) {
            s.timeout(50ms);
            std::string line;
            s.read_line(line);
            s.timeout({});
        },
        [](stream& s) {
            s.wfile() << "go on\n";
            std::string line;
            s.read_line(line);
            s.wfile() << line;
        });
    client c = server.connect();
    c.send("one\n");
    BOOST_TEST(c.line() == "go on");
    // Longer than the limit was.
    c.time_limit(150ms);
    BOOST_CHECK_THROW(c.line(), std::system_error);
    c.time_limit(10s);
    c.send("two\n");
    BOOST_TEST(c.all() == "two");
}

BOOST_AUTO_TEST_CASE(a_limit_that_a_hook_has_set_holds_in_the_child)
{
    served<tcp_server> server(
        "127.0.0.1:0", [](stream& s) { s.timeout(20ms); },
        [](stream& s) {
            boost::system::error_code ec;
            char byte;
            s.read_some(boost::asio::buffer(&byte, 1), ec);
            s.wfile() << ec.message();
        });
    BOOST_TEST(server.connect().all() == make_error_code(boost::asio::error::timed_out).message());
}
