// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What a server with a fork server counts and reports, whatever becomes of that.

#include <socketserver/strategy/fork_server.hpp>

#define BOOST_TEST_MODULE fork_server_report

#include "support/logged.hpp"
#include "support/matrix_fork_server.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace matrix;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// This process's end of the connection with the fork server: nothing else here is of its kind.
int socket_of_fork_server()
{
    for (auto const& [number, what] : descriptors_of())
    {
        int type = 0;
        socklen_t size = sizeof type;
        if (::getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET)
            return number;
    }
    throw std::runtime_error("no connection with a fork server");
}

} // namespace

BOOST_FIXTURE_TEST_CASE(requests_that_get_their_process_on_the_way_down_were_drained, nothing_left)
{
    support::logged log;
    served_by_fork_server<> server(echo);
    ::kill(server.fork_server(), SIGSTOP);
    std::vector<client_stream> clients;
    for (int i = 0; i < 3; ++i)
    {
        clients.push_back(server.client());
        say(clients.back(), "here");
    }
    BOOST_TEST(eventually([&] { return server.server().counters().active == 3; }));
    std::thread end([&] { server.server().end_requests(); });
    BOOST_TEST(log.wait_for("waits up to"));
    ::kill(server.fork_server(), SIGCONT);
    for (auto& client : clients)
    {
        BOOST_TEST(hear(client) == "here");
        client.leave();
    }
    end.join();
    BOOST_TEST(server.server().report().drained == 3u);
    BOOST_TEST(server.server().report().aborted == 0u);
}

BOOST_FIXTURE_TEST_CASE(what_no_process_was_had_for_was_refused, nothing_left)
{
    socketserver::ready<forking> server("127.0.0.1:0", echo);
    server.start_fork_server();
    auto const process = children().back();
    served_to_its_end loop(server);
    client_stream served(server.server_address());
    BOOST_TEST(ask(served, "in") == "in");
    ::kill(process, SIGSTOP);
    client_stream lost(server.server_address());
    BOOST_TEST(eventually([&] { return server.counters().active == 2; }));
    ::kill(process, SIGKILL);
    BOOST_TEST(loop.thrown() != "");
    BOOST_TEST(hear(lost) == the_end);
    BOOST_TEST(server.counters().refused_at_limit == 1u);
    BOOST_TEST(server.counters().active == 1u);
    BOOST_TEST(ask(served, "still there?") == "still there?");
}

BOOST_FIXTURE_TEST_CASE(one_that_cannot_be_spoken_with_is_not_waited_for, nothing_left)
{
    socketserver::ready<forking> server("127.0.0.1:0", echo);
    server.start_fork_server();
    auto const process = children().back();
    served_to_its_end loop(server);
    ::kill(process, SIGSTOP);
    ::shutdown(socket_of_fork_server(), SHUT_RDWR);
    BOOST_TEST(loop.thrown() != "");
    BOOST_TEST(!is_alive(process));
}
