// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/credentials.hpp>

#define BOOST_TEST_MODULE credentials
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"
#include "support/connected.hpp"
#include "support/datagram_peer.hpp"
#include "support/folder.hpp"
#include "support/matrix_process.hpp"
#include "support/request.hpp"
#include "support/sent_along.hpp"

#include <socketserver/servers.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/datagram_protocol.hpp>
#include <boost/mp11/list.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <type_traits>
#include <unistd.h>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace socketserver;
using support::datagram_peer;
using support::unix_endpoint;

namespace {

constexpr int nobody = 65534;

// Notes who each client is, when it is verified and when it is handled.
template <class Server>
class noting : public Server
{
public:
    using request_type = typename Server::request_type;

    noting(endpoint const& address, std::vector<std::optional<credentials>>& seen)
        : Server(address, [&seen](request_type& r) { seen.push_back(r.peer_credentials()); })
        , seen_(seen)
    {
    }

    bool verify_request(request_type& r, endpoint const&) override
    {
        seen_.push_back(r.peer_credentials());
        return true;
    }

private:
    std::vector<std::optional<credentials>>& seen_;
};

void ask(endpoint const& server, std::type_identity<unix_stream_server>)
{
    support::client const c(server);
}

void ask(endpoint const& server, std::type_identity<unix_datagram_server>)
{
    datagram_peer(server).send("who am I?");
}

void require(bool condition, char const* what)
{
    if (!condition)
        throw std::runtime_error(what);
}

// Gives up what lets a process say that it is another one; false where it never could.
bool become_nobody()
{
    return ::getuid() != 0 ||
           (::setresgid(nobody, nobody, nobody) == 0 && ::setresuid(nobody, nobody, nobody) == 0);
}

} // namespace

using kinds = boost::mp11::mp_list<unix_stream_server, unix_datagram_server>;

BOOST_AUTO_TEST_CASE_TEMPLATE(tell_who_asks_in_verify_request_too, Server, kinds)
{
    support::folder const folder;
    std::vector<std::optional<credentials>> seen;
    ready<noting<Server>> server(unix_endpoint(folder / "s"), seen);
    ask(server.server_address(), std::type_identity<Server>());
    server.handle_request();
    BOOST_TEST_REQUIRE(seen.size() == 2u);
    for (auto const& who : seen)
    {
        BOOST_TEST_REQUIRE(who.has_value());
        BOOST_TEST(who->pid == ::getpid());
        BOOST_TEST(who->uid == ::geteuid());
        BOOST_TEST(who->gid == ::getegid());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(are_those_of_another_process_with_another_user, Server, kinds)
{
    support::folder const folder;
    std::vector<std::optional<credentials>> seen;
    ready<noting<Server>> server(
        unix_endpoint("@socketserver-test-" + std::to_string(::getpid())), seen);
    matrix::process client([&] {
        require(become_nobody(), "no other user");
        ask(server.server_address(), std::type_identity<Server>());
    });
    BOOST_TEST(client.wait() == 0, client.errors());
    server.handle_request();
    BOOST_TEST_REQUIRE(seen.size() == 2u);
    auto const is_root = ::getuid() == 0;
    for (auto const& who : seen)
    {
        BOOST_TEST_REQUIRE(who.has_value());
        BOOST_TEST(who->pid == client.pid());
        BOOST_TEST(who->uid == (is_root ? nobody : ::geteuid()));
        BOOST_TEST(who->gid == (is_root ? nobody : ::getegid()));
    }
}

BOOST_AUTO_TEST_CASE(cannot_be_forged)
{
    support::folder const folder;
    std::vector<std::optional<credentials>> seen;
    ready<noting<unix_datagram_server>> server(
        unix_endpoint("@socketserver-test-" + std::to_string(::getpid())), seen);
    matrix::process client([&] {
        require(become_nobody(), "no other user");
        auto const& to = server.server_address();
        datagram_peer const peer(to);
        auto const say = [&](int pid, unsigned uid, unsigned gid) {
            ucred const who{pid, uid, gid};
            return support::send_along(peer.descriptor(), "me", SCM_CREDENTIALS, who, to);
        };
        require(!say(::getppid(), ::getuid(), ::getgid()), "another process");
        require(!say(::getpid(), 0, ::getgid()), "another user");
        require(!say(::getpid(), ::getuid(), 0), "another group");
        // Its own it may say.
        require(say(::getpid(), ::getuid(), ::getgid()), "itself");
    });
    BOOST_TEST(client.wait() == 0, client.errors());
    server.handle_request();
    BOOST_TEST_REQUIRE(seen.size() == 2u);
    BOOST_TEST_REQUIRE(seen.front().has_value());
    BOOST_TEST(seen.front()->pid == client.pid());
}

BOOST_AUTO_TEST_CASE(are_none_where_there_is_no_unix_socket)
{
    support::connected const c;
    BOOST_TEST(!c.stream.peer_credentials());
    BOOST_TEST(!stream().peer_credentials());

    std::vector<std::optional<credentials>> seen;
    ready<noting<udp_server>> server("127.0.0.1:0", seen);
    datagram_peer(server.server_address()).send("who am I?");
    server.handle_request();
    BOOST_TEST_REQUIRE(seen.size() == 2u);
    BOOST_TEST(!seen.front());
}

BOOST_AUTO_TEST_CASE(are_none_for_what_came_before_anybody_asked_for_them)
{
    support::folder const folder;
    asio::io_context context;
    asio::local::datagram_protocol::socket bound(context, folder / "s");
    datagram_peer client(unix_endpoint(folder / "s"));
    client.send("early");
    std::vector<std::optional<credentials>> seen;
    ready<unix_datagram_server> server(
        std::move(bound), [&](datagram& d) { seen.push_back(d.peer_credentials()); });
    client.send("late");
    server.handle_request();
    server.handle_request();
    BOOST_TEST_REQUIRE(seen.size() == 2u);
    BOOST_TEST(!seen.front());
    BOOST_TEST_REQUIRE(seen.back().has_value());
    BOOST_TEST(seen.back()->pid == ::getpid());
}
