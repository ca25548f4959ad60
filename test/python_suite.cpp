// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What Python's own tests of socketserver (test_socketserver.py of 3.13) check, by their names.
//
// All but test_all, which is about a Python module.  Where Python lets SystemExit pass, here there
// is an exception that is no std::exception, and every exception is handled.

#define BOOST_TEST_MODULE python_suite

#include "support/beside.hpp"
#include "support/client.hpp"
#include "support/datagram_peer.hpp"
#include "support/descriptors.hpp"
#include "support/folder.hpp"
#include "support/matrix_process.hpp"
#include "support/sanitizer.hpp"

#include <socketserver/servers.hpp>

#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <exception>
#include <fcntl.h>
#include <istream>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <unistd.h>
#include <vector>

using namespace socketserver;
using support::beside;
using support::client;

namespace {

endpoint const any_port("127.0.0.1:0");

auto const echo_a_line = [](auto& request) {
    std::string line;
    if (std::getline(request.rfile(), line))
        request.wfile() << line << '\n';
};

auto const do_nothing = [](stream&) {};

// Nothing is left: no descriptor, no thread, no child.
struct nothing_left : support::no_descriptor_left, matrix::nothing_left
{
};

struct socket_server_test : nothing_left
{
    template <class Server>
    void run_server(endpoint const& address)
    {
        Server server(address, echo_a_line);
        BOOST_TEST(server.server_address() == support::name_of(server.fileno()));
        beside loop([&] { server.serve_forever(std::chrono::milliseconds(10)); });
        // A test that fails ends its loop, too.
        struct stop
        {
            Server& server;
            ~stop() { server.request_shutdown(); }
        } const at_the_end{server};
        for (int i = 0; i < 3; ++i)
        {
            if constexpr (std::is_base_of_v<request_pipeline<stream>, Server>)
            {
                client asking(server.server_address());
                asking.send("hello world\n");
                BOOST_TEST(asking.line() == "hello world");
            }
            else
            {
                support::datagram_peer asking(server.server_address());
                asking.send("hello world\n");
                BOOST_TEST(asking.receive() == "hello world\n");
            }
        }
        server.shutdown();
        loop.get();
        server.server_close();
        BOOST_TEST(server.fileno() == -1);
        if constexpr (requires { server.active_children(); })
            BOOST_TEST(server.active_children().empty());
    }

    // Beside a child that is none of the server's, and that the server leaves alone.
    template <class Server>
    void run_server_beside_a_child(endpoint const& address)
    {
        matrix::process other([] { ::_exit(72); });
        run_server<Server>(address);
        BOOST_TEST(other.wait() == 72);
    }

    endpoint path() const { return support::unix_endpoint(folder / "server"); }

    support::folder folder;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(SocketServerTest, socket_server_test)

BOOST_AUTO_TEST_CASE(test_tcp_server)
{
    run_server<synchronous_tcp_server>(any_port);
}

BOOST_AUTO_TEST_CASE(test_threading_tcp_server)
{
    run_server<threading_tcp_server>(any_port);
}

BOOST_AUTO_TEST_CASE(test_forking_tcp_server)
{
    run_server_beside_a_child<forking_tcp_server>(any_port);
}

BOOST_AUTO_TEST_CASE(test_unix_stream_server)
{
    run_server<synchronous_unix_stream_server>(path());
}

BOOST_AUTO_TEST_CASE(test_threading_unix_stream_server)
{
    run_server<threading_unix_stream_server>(path());
}

BOOST_AUTO_TEST_CASE(test_forking_unix_stream_server)
{
    run_server_beside_a_child<forking_unix_stream_server>(path());
}

BOOST_AUTO_TEST_CASE(test_udp_server)
{
    run_server<synchronous_udp_server>(any_port);
}

BOOST_AUTO_TEST_CASE(test_threading_udp_server)
{
    run_server<threading_udp_server>(any_port);
}

BOOST_AUTO_TEST_CASE(test_forking_udp_server)
{
    run_server_beside_a_child<forking_udp_server>(any_port);
}

BOOST_AUTO_TEST_CASE(test_unix_datagram_server)
{
    run_server<synchronous_unix_datagram_server>(path());
}

BOOST_AUTO_TEST_CASE(test_threading_unix_datagram_server)
{
    run_server<threading_unix_datagram_server>(path());
}

BOOST_AUTO_TEST_CASE(test_forking_unix_datagram_server)
{
    run_server_beside_a_child<forking_unix_datagram_server>(path());
}

BOOST_AUTO_TEST_CASE(test_shutdown)
{
    std::vector<std::unique_ptr<synchronous_tcp_server>> servers;
    for (int i = 0; i < 20; ++i)
        servers.push_back(std::make_unique<synchronous_tcp_server>(any_port, do_nothing));
    for (auto const& server : servers)
    {
        // However far the loop has come.
        beside loop([&] { server->serve_forever(std::chrono::milliseconds(10)); });
        server->shutdown();
        loop.get();
    }
}

BOOST_AUTO_TEST_CASE(test_close_immediately)
{
    threading_tcp_server server(any_port, do_nothing);
    server.server_close();
    BOOST_TEST(server.fileno() == -1);
}

BOOST_AUTO_TEST_CASE(test_tcpserver_bind_leak)
{
    synchronous_tcp_server const taken(any_port, do_nothing);
    auto const before = support::open_descriptors().size();
    for (int i = 0; i < 1024 / support::slowness; ++i)
        BOOST_REQUIRE_THROW(synchronous_tcp_server(taken.server_address(), do_nothing),
            boost::system::system_error);
    BOOST_TEST(support::open_descriptors().size() == before);
}

BOOST_AUTO_TEST_CASE(test_context_manager)
{
    int descriptor = -1;
    {
        synchronous_tcp_server const server(any_port, do_nothing);
        descriptor = server.fileno();
        BOOST_TEST(::fcntl(descriptor, F_GETFD) >= 0);
    }
    BOOST_TEST(::fcntl(descriptor, F_GETFD) < 0);
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

// In memory that children see as well.
struct evidence
{
    std::atomic<int> handler_called{0};
    std::atomic<int> error_handled{0};
};

template <class Server>
class error_test_server : public Server
{
public:
    using Server::Server;

    void handle_error(stream&, endpoint const&, std::exception_ptr) override
    {
        ++(*seen)->error_handled;
    }

    matrix::shared<evidence> const* seen = nullptr;
};

struct error_handler_test : nothing_left
{
    // One request, of whose handler the exception comes.
    template <class Server, class Exception>
    void check_handled(Exception const& exception)
    {
        matrix::shared<evidence> const seen;
        ready<error_test_server<Server>> server(any_port, [&](stream&) {
            ++seen->handler_called;
            throw exception;
        });
        server.seen = &seen;
        client(server.server_address()).end();
        server.handle_request();
        server.server_close();
        BOOST_TEST(seen->handler_called == 1);
        BOOST_TEST(seen->error_handled == 1);
    }

    std::runtime_error const an_error{"Test error"};
    int const no_standard_exception = 42;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(ErrorHandlerTest, error_handler_test)

BOOST_AUTO_TEST_CASE(test_sync_handled)
{
    check_handled<tcp_server>(an_error);
}

BOOST_AUTO_TEST_CASE(test_sync_not_handled)
{
    check_handled<tcp_server>(no_standard_exception);
}

BOOST_AUTO_TEST_CASE(test_threading_handled)
{
    check_handled<threading_mixin<tcp_server>>(an_error);
}

BOOST_AUTO_TEST_CASE(test_threading_not_handled)
{
    check_handled<threading_mixin<tcp_server>>(no_standard_exception);
}

BOOST_AUTO_TEST_CASE(test_forking_handled)
{
    check_handled<forking_mixin<tcp_server>>(an_error);
}

BOOST_AUTO_TEST_CASE(test_forking_not_handled)
{
    check_handled<forking_mixin<tcp_server>>(no_standard_exception);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(SocketWriterTest, nothing_left)

BOOST_AUTO_TEST_CASE(test_basics)
{
    // A standard stream that writes to the connection of the request, and to no other.
    class handler : public stream_request_handler
    {
    public:
        void handle() override
        {
            std::ostream& out = wfile();
            BOOST_TEST(&out == &request().wfile());
            out << "to the request" << std::flush;
            char const end = '\n';
            BOOST_TEST(::send(request().native_handle(), &end, 1, MSG_NOSIGNAL) == 1);
        }
    };
    synchronous_tcp_server server(any_port, socketserver::handler<handler>);
    client asking(server.server_address());
    server.handle_request();
    BOOST_TEST(asking.all() == "to the request\n");
}

BOOST_AUTO_TEST_CASE(test_write)
{
    static constexpr std::size_t large = 16 * 1024 * 1024 + 1;
    support::counted_signal const interrupted(SIGUSR1);
    std::string received;
    synchronous_tcp_server server(any_port, [&](stream& s) {
        s.wfile() << "write data\n";
        // It is sent now, without having been flushed.
        std::getline(s.rfile(), received);
        s.wfile() << std::string(large, '\0');
    });
    beside serving([&] { server.handle_request(); });
    client asking(server.server_address());
    BOOST_TEST(asking.line() == "write data");
    asking.send("client response\n");

    auto read = asking.bytes(100).size();
    // It waits until more is read, and is interrupted in that.
    serving.wait_until_asleep();
    for (int i = 0; i < 10; ++i)
    {
        auto const before = interrupted.count().load();
        serving.signal(SIGUSR1);
        BOOST_REQUIRE(matrix::eventually([&] { return interrupted.count() > before; }));
    }
    read += asking.all().size();
    serving.get();
    BOOST_TEST(received == "client response");
    BOOST_TEST(read == large);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(MiscTestCase, nothing_left)

BOOST_AUTO_TEST_CASE(test_shutdown_request_called_if_verify_request_false)
{
    class refusing : public tcp_server
    {
    public:
        using tcp_server::tcp_server;

        bool verify_request(stream&, endpoint const&) override { return false; }

        void shutdown_request(stream& s) override
        {
            ++shutdown_called;
            tcp_server::shutdown_request(s);
        }

        int shutdown_called = 0;
    };
    ready<refusing> server(any_port, do_nothing);
    client(server.server_address()).close();
    server.handle_request();
    BOOST_TEST(server.shutdown_called == 1);
}

BOOST_AUTO_TEST_CASE(test_threads_reaped)
{
    threading_tcp_server server(any_port, do_nothing);
    auto const before = matrix::threads_of();
    for (int i = 0; i < 10; ++i)
    {
        client asking(server.server_address());
        server.handle_request();
        BOOST_TEST(asking.sees_end());
    }
    BOOST_TEST(matrix::threads_of() < before + 10);
}

BOOST_AUTO_TEST_SUITE_END()
