// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Unix sockets: a file with permissions, a client that the kernel vouches for, and datagrams.

#define BOOST_TEST_MODULE unix_sockets
#include <boost/test/unit_test.hpp>

#include <socketserver.hpp>

#include "support/folder.hpp"
#include "support/unix_servers.hpp"

#include <functional>
#include <istream>
#include <ostream>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>

using namespace socketserver;

namespace {

class greeter : public stream_request_handler
{
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line);)
            wfile() << "hello, " << line << '\n';
    }
};

// tag::server-class[]
class own_server : public unix_stream_server
{
public:
    own_server(endpoint address, handler_factory<stream> handlers)
        : unix_stream_server(std::move(address), std::move(handlers))
    {
        mode = 0660; // the owner and the group may connect
    }

private:
    bool verify_request(stream& request, endpoint const&) override
    {
        auto const who = request.peer_credentials();
        return who && (who->uid == ::geteuid() || who->uid == 0);
    }
};
// end::server-class[]

// tag::datagram-class[]
class own_echo_server : public unix_datagram_server
{
public:
    using unix_datagram_server::unix_datagram_server;

private:
    bool verify_request(datagram& request, endpoint const&) override
    {
        auto const who = request.peer_credentials();
        return who && who->uid == ::geteuid(); // anybody else hears nothing
    }
};
// end::datagram-class[]

std::string ask(endpoint const& server, std::string const& question)
{
    // tag::client[]
    stream s = connect(server);
    // end::client[]
    s.wfile() << question << '\n';
    std::string answer;
    BOOST_TEST(s.read_line(answer));
    return answer;
}

void serve_and(base_server& server, std::function<void()> const& talk)
{
    std::thread loop([&] { server.serve_forever(); });
    talk();
    server.server_close();
    loop.join();
}

} // namespace

BOOST_FIXTURE_TEST_CASE(the_same_handler_serves_a_file, support::folder)
{
    auto const file = *this / "greeter.sock";
    endpoint const where = support::unix_endpoint(file);
    // tag::server[]
    // where: unix:/run/greeter.sock
    ready<threading_mixin<own_server>> server(where, handler<greeter>);
    // end::server[]
    BOOST_TEST(support::mode_of(file) == 0660u);
    serve_and(server, [&] { BOOST_TEST(ask(where, "you") == "hello, you"); });
    BOOST_TEST(!support::exists(file));
}

BOOST_FIXTURE_TEST_CASE(a_dead_servers_file_is_replaced_and_a_living_ones_is_not, support::folder)
{
    auto const file = *this / "greeter.sock";
    endpoint const where = support::unix_endpoint(file);
    support::leave_dead(file, SOCK_STREAM);
    threading_unix_stream_server server(where, handler<greeter>);
    BOOST_CHECK_THROW(
        threading_unix_stream_server(where, handler<greeter>), boost::system::system_error);
    serve_and(server, [&] { BOOST_TEST(ask(where, "you") == "hello, you"); });
}

BOOST_FIXTURE_TEST_CASE(datagrams_go_there_too, support::folder)
{
    endpoint const where = support::unix_endpoint(*this / "echo.sock");
    // tag::datagram[]
    ready<threading_mixin<own_echo_server>> server(
        where, [](datagram& request) { request.wfile() << request.packet(); });
    // end::datagram[]
    serve_and(server, [&] {
        datagram_client client(where);
        client.send("hello");
        BOOST_TEST(client.receive() == "hello");
    });
}
