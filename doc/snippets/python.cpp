// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What greeter.py says, said here; and the calls of sockets that its readers know.

#define BOOST_TEST_MODULE python
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"

#include <socketserver.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <chrono>
#include <istream>
#include <ostream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <unistd.h>

using support::client;

namespace {

// tag::classes[]
class greeter : public socketserver::stream_request_handler
{
public:
    greeter() { timeout = std::chrono::seconds(30); }

private:
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line); ++greeted_)
            wfile() << "hello, " << line << '\n';
    }

    int greeted_ = 0;
};

class local_server : public socketserver::tcp_server
{
public:
    using tcp_server::tcp_server;

private:
    bool verify_request(
        socketserver::stream&, socketserver::endpoint const& client_address) override
    {
        return client_address.host() == "127.0.0.1";
    }
};
// end::classes[]

// tag::main[]
using threading_local_server = socketserver::ready<socketserver::threading_mixin<local_server>>;

void serve(std::string const& where)
{
    threading_local_server server(where, socketserver::handler<greeter>);
    server.serve_forever();
}
// end::main[]

} // namespace

BOOST_AUTO_TEST_CASE(says_what_python_says)
{
    threading_local_server server(":0", socketserver::handler<greeter>);
    std::thread loop([&] { server.serve_forever(); });
    client c(socketserver::endpoint("127.0.0.1:0").with_port(server.server_address().port()));
    c.send("you\nworld\n");
    c.end();
    BOOST_TEST(c.all() == "hello, you\nhello, world\n");
    server.shutdown();
    loop.join();
}

BOOST_AUTO_TEST_CASE(an_address_that_is_none_is_one_clear_error)
{
    BOOST_CHECK_THROW(serve("8009"), std::invalid_argument);
    BOOST_CHECK_THROW(serve("localhost"), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(a_jthread_stops_it)
{
    // tag::jthread[]
    threading_local_server server(":0", socketserver::handler<greeter>);
    std::jthread const loop([&server](std::stop_token stop) {
        std::stop_callback const on_stop(stop, [&server] { server.request_shutdown(); });
        server.serve_forever();
    });
    // end::jthread[]
    client c(socketserver::endpoint("127.0.0.1:0").with_port(server.server_address().port()));
    c.send("you\n");
    BOOST_TEST(c.line() == "hello, you");
}

// Every form that the table of the page has.
BOOST_AUTO_TEST_CASE(the_calls_of_sockets)
{
    namespace asio = boost::asio;
    using namespace std::chrono_literals;
    using socketserver::connect;
    using socketserver::stream;

    socketserver::threading_tcp_server server("127.0.0.1:0", [](stream& s) {
        std::string all(8, '\0');
        asio::read(s, asio::buffer(all.data(), all.size()));
        s.send_all(all);
        s.abort();
    });
    std::thread loop([&] { server.serve_forever(500ms); });
    server.acceptor().set_option(asio::socket_base::receive_buffer_size(8192));
    auto const& address = server.server_address();
    {
        stream s = connect(address, 5s);
        BOOST_TEST(s.remote_endpoint() == address);
        BOOST_TEST(s.local_endpoint() != address);
        BOOST_TEST(s.native_handle() >= 0);
        s.timeout(5s);
        BOOST_TEST(s.write_some(asio::buffer("ab", 2)) == 2u);
        s.send_all("cd");
        asio::write(s, asio::buffer("ef", 2));
        BOOST_TEST(s.try_send("gh"));
        s.shutdown_send();
        char data[8];
        BOOST_TEST(s.read_some(asio::buffer(data, 1)) == 1u);
        s.timeout({});
        asio::read(s, asio::buffer(data, 7));
        BOOST_TEST(std::string(data, 7) == "bcdefgh");
        s.close();
        BOOST_TEST(!s.is_open());
    }
    {
        boost::system::error_code ec;
        stream s = connect(address, {}, ec);
        BOOST_TEST(!ec);
        int const given_away = s.release();
        BOOST_TEST(given_away >= 0);
        ::close(given_away);
    }
    server.shutdown();
    loop.join();
}

BOOST_AUTO_TEST_CASE(the_calls_of_datagrams)
{
    using socketserver::datagram_client;

    socketserver::threading_udp_server server("127.0.0.1:0",
        [](socketserver::datagram& request, socketserver::endpoint const& client_address) {
            request.send("one");
            request.send_to(client_address, "two");
            request.wfile() << "three " << request.packet();
        });
    server.socket().set_option(boost::asio::socket_base::receive_buffer_size(65536));
    std::thread loop([&] { server.serve_forever(); });
    datagram_client client(server.server_address());
    client.timeout(std::chrono::seconds(5));
    client.send("four");
    for (auto const* expected : {"one", "two", "three four"})
        BOOST_TEST(client.receive() == expected);
    server.shutdown();
    loop.join();
}
