// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_UNIX_SERVERS_HPP
#define SOCKETSERVER_TEST_SUPPORT_UNIX_SERVERS_HPP

#include "client.hpp"
#include "datagram_peer.hpp"
#include "folder.hpp"

#include <socketserver/datagram_server.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/asio/error.hpp>
#include <boost/mp11/list.hpp>
#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace support {

// What is true of both kinds of Unix server is tested with each of them.
using unix_servers =
    boost::mp11::mp_list<socketserver::unix_stream_server, socketserver::unix_datagram_server>;

template <class Server>
inline constexpr int type_of = SOCK_STREAM;

template <>
inline constexpr int type_of<socketserver::unix_datagram_server> = SOCK_DGRAM;

// Handles any request by saying who has handled it.
inline auto says(std::string who)
{
    return [who = std::move(who)](auto& request) { request.wfile() << who; };
}

// Asks a server that nobody serves who it is; it handles what comes to its address.  To a server of
// connections, who looks whether it is alive is a client that says nothing: those come first.
inline std::string answer_of(socketserver::unix_stream_server& server)
{
    client c(server.server_address());
    do
        server.handle_request();
    while (c.hears_nothing());
    return c.all();
}

inline std::string answer_of(socketserver::unix_datagram_server& server)
{
    datagram_peer c(server.server_address());
    c.send("who?");
    server.handle_request();
    return c.receive();
}

// What connecting to an address ends in, as the system says it; 0 where somebody is there.
inline int connecting(socketserver::endpoint const& to, int type)
{
    int const fd = ::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int const result =
        ::connect(fd, static_cast<sockaddr const*>(to.data()), static_cast<socklen_t>(to.size()));
    int const error = result < 0 ? errno : 0;
    ::close(fd);
    return error;
}

// Leaves the file of a socket that nobody serves any more.
inline void leave_dead(std::string const& path, int type)
{
    auto const at = unix_endpoint(path);
    int const fd = ::socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    int const result =
        ::bind(fd, static_cast<sockaddr const*>(at.data()), static_cast<socklen_t>(at.size()));
    int const error = errno;
    ::close(fd);
    if (result < 0)
        throw std::system_error(error, std::system_category(), path);
}

// Whether a server refuses to start, in one error that names the address.
template <class Server>
boost::test_tools::assertion_result is_refused(
    socketserver::endpoint const& address, std::string const& why = "")
{
    bool refused = false;
    std::string what = "it starts";
    try
    {
        socketserver::ready<Server> const server(address, says("me"));
    }
    catch (boost::system::system_error const& e)
    {
        what = e.what();
        refused = e.code() == boost::asio::error::address_in_use &&
                  what.find(address.str() + why) != std::string::npos;
    }
    boost::test_tools::assertion_result result(refused);
    result.message() << what;
    return result;
}

} // namespace support

#endif
