// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/datagram_client.hpp>

#define BOOST_TEST_MODULE datagram_client
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/datagram_peer.hpp"
#include "support/descriptors.hpp"
#include "support/folder.hpp"
#include "support/ipv6.hpp"
#include "support/lasts.hpp"
#include "support/names.hpp"
#include "support/served.hpp"

#include <socketserver/active_request.hpp>
#include <socketserver/memory_transport.hpp>
#include <socketserver/servers.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <type_traits>
#include <utility>

namespace asio = boost::asio;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;
using support::beside;
using support::unix_endpoint;

namespace {

// A socket that is bound and receives only what the test receives from it.
class bound
{
public:
    explicit bound(endpoint const& address = "127.0.0.1:0")
        : descriptor_(::socket(static_cast<sockaddr const*>(address.data())->sa_family,
              SOCK_DGRAM | SOCK_CLOEXEC, 0))
    {
        BOOST_TEST_REQUIRE(::bind(descriptor_, static_cast<sockaddr const*>(address.data()),
                               static_cast<socklen_t>(address.size())) == 0);
        address_ = support::name_of(descriptor_);
    }

    bound(bound const&) = delete;
    bound& operator=(bound const&) = delete;

    ~bound() { ::close(descriptor_); }

    endpoint const& address() const noexcept { return address_; }

    std::string receive() const
    {
        char buffer[65536];
        auto const n = ::recv(descriptor_, buffer, sizeof buffer, 0);
        return std::string(buffer, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    }

    void send(std::string_view message, endpoint const& to) const
    {
        ::sendto(descriptor_, message.data(), message.size(), 0,
            static_cast<sockaddr const*>(to.data()), static_cast<socklen_t>(to.size()));
    }

private:
    int descriptor_;
    endpoint address_;
};

// A Unix server that does not read, with a queue that is full.
struct full : private support::folder, bound
{
    full()
        : bound(unix_endpoint(*this / "s"))
    {
        support::fill(address());
    }
};

// An address at which nobody receives.
endpoint nobody()
{
    return bound().address();
}

void echo(datagram& d)
{
    d.send(d.packet());
}

std::string ask(datagram_client& client, std::string_view question)
{
    client.timeout(10s);
    client.send(question);
    return client.receive();
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(a_client, support::no_descriptor_left)

BOOST_AUTO_TEST_CASE(asks_servers_of_every_family)
{
    support::folder const folder;
    auto const at = [](endpoint const& address, auto type) {
        support::served<typename decltype(type)::type> server(address, echo);
        datagram_client client(server->server_address());
        BOOST_TEST(ask(client, "hello") == "hello");
        BOOST_TEST(ask(client, "") == "");
        BOOST_TEST(ask(client, std::string(60000, 'x')).size() == 60000u);
    };
    std::type_identity<synchronous_udp_server> const udp;
    std::type_identity<synchronous_unix_datagram_server> const local;
    at("127.0.0.1:0", udp);
    at(":0", udp);
    if (support::has_ipv6())
        at("[::1]:0", udp);
    at(unix_endpoint(folder / "s"), local);
    at(unix_endpoint("@socketserver-test-" + std::to_string(::getpid())), local);
}

BOOST_AUTO_TEST_CASE(knows_where_it_is)
{
    bound const server;
    datagram_client client(server.address());
    BOOST_TEST(client.local_endpoint().host() == "127.0.0.1");
    BOOST_TEST(client.local_endpoint().port() != 0);
    BOOST_TEST((support::name_of(client.native_handle()) == client.local_endpoint()));
    BOOST_TEST((::fcntl(client.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);

    support::folder const folder;
    bound const local(unix_endpoint(folder / "s"));
    datagram_client unix_client(local.address());
    BOOST_TEST(unix_client.local_endpoint().is_abstract());
}

BOOST_AUTO_TEST_CASE(receives_from_its_server_alone)
{
    bound const server;
    bound const stranger;
    datagram_client client(server.address());
    client.timeout(10s);
    stranger.send("not for you", client.local_endpoint());
    server.send("for you", client.local_endpoint());
    BOOST_TEST(client.receive() == "for you");
}

BOOST_AUTO_TEST_CASE(an_endpoint_that_is_not_there_is_named)
{
    support::folder const folder;
    auto const nowhere = unix_endpoint(folder / "s");
    BOOST_CHECK_EXCEPTION(datagram_client{nowhere}, system_error,
        support::names(nowhere.str(), boost::system::errc::no_such_file_or_directory));
    BOOST_CHECK_THROW(datagram_client{endpoint()}, system_error);
}

BOOST_AUTO_TEST_CASE(a_server_that_is_not_there_refuses_what_is_sent)
{
    datagram_client client(nobody());
    client.timeout(10s);
    client.send("anybody there?");
    BOOST_CHECK_EXCEPTION(client.receive(), system_error,
        [](system_error const& e) { return e.code() == asio::error::connection_refused; });

    support::folder const folder;
    auto server = std::make_unique<bound>(unix_endpoint(folder / "s"));
    datagram_client local(server->address());
    server.reset();
    error_code ec;
    local.send("anybody there?", ec);
    BOOST_TEST(ec == asio::error::connection_refused);
}

BOOST_AUTO_TEST_CASE(what_is_longer_than_a_datagram_is_not_sent)
{
    bound const server;
    datagram_client client(server.address());
    error_code ec;
    client.send(std::string(65508, 'x'), ec);
    BOOST_TEST(ec == asio::error::message_size);
    BOOST_CHECK_THROW(client.send(std::string(65508, 'x')), system_error);
    client.send("short", ec);
    BOOST_TEST(!ec);
    BOOST_TEST(server.receive() == "short");
}

BOOST_AUTO_TEST_CASE(cuts_what_is_longer_than_max_packet_size)
{
    bound const server;
    datagram_client client(server.address());
    client.timeout(10s);
    client.max_packet_size = 3;
    server.send("12345", client.local_endpoint());
    server.send("12345", client.local_endpoint());
    BOOST_TEST(client.receive() == "123");
    client.max_packet_size = 8;
    BOOST_TEST(client.receive() == "12345");
}

BOOST_AUTO_TEST_CASE(moves_with_its_limits)
{
    bound const server;
    datagram_client first(server.address());
    first.timeout(30ms);
    first.max_packet_size = 3;
    auto const name = first.local_endpoint();
    datagram_client second(std::move(first));
    datagram_client third(nobody());
    third = std::move(second);
    BOOST_TEST((third.local_endpoint() == name));
    server.send("12345", name);
    BOOST_TEST(third.receive() == "123");
    error_code ec;
    third.receive(ec);
    BOOST_TEST(ec == asio::error::timed_out);
}

// ---------------------------------------------------------------- waiting

BOOST_AUTO_TEST_CASE(receiving_waits_no_longer_than_the_limit)
{
    bound const server;
    datagram_client client(server.address());
    client.timeout(100ms);
    support::check_lasts(100ms, [&] {
        error_code ec;
        BOOST_TEST(client.receive(ec) == "");
        BOOST_TEST(ec == asio::error::timed_out);
    });
    BOOST_CHECK_THROW(client.receive(), system_error);
}

BOOST_AUTO_TEST_CASE(sending_waits_no_longer_than_the_limit)
{
    full const server;
    datagram_client client(server.address());
    client.timeout(100ms);
    for (auto const message : {"no room", ""})
        support::check_lasts(100ms, [&] {
            error_code ec;
            client.send(message, ec);
            BOOST_TEST(ec == asio::error::timed_out);
        });
}

BOOST_AUTO_TEST_CASE(sending_waits_until_there_is_room)
{
    for (auto const message : {"at last", ""})
    {
        full const server;
        datagram_client client(server.address());
        beside sender([&] {
            error_code ec;
            client.send(message, ec);
            return ec;
        });
        sender.wait_until_asleep();
        BOOST_TEST(!sender.is_done());
        while (server.receive() != message)
            ;
        BOOST_TEST(!sender.get());
    }
}

BOOST_AUTO_TEST_CASE(one_thread_sends_while_another_receives)
{
    support::served<threading_udp_server> server("127.0.0.1:0", echo);
    datagram_client client(server->server_address());
    beside receiver([&] {
        for (int i = 0; i < 100; ++i)
            if (client.receive() != "hello")
                return false;
        return true;
    });
    while (!receiver.is_done())
    {
        client.send("hello");
        std::this_thread::yield();
    }
    BOOST_TEST(receiver.get());
}

BOOST_AUTO_TEST_CASE(abort_wakes_a_receive_for_good)
{
    bound const server;
    datagram_client client(server.address());
    auto const receive = [&] {
        error_code ec;
        client.receive(ec);
        return ec;
    };
    beside receiver(receive);
    receiver.wait_until_asleep();
    client.abort();
    BOOST_TEST(receiver.get() == asio::error::operation_aborted);
    BOOST_TEST(receive() == asio::error::operation_aborted);
    error_code ec;
    client.send("x", ec);
    BOOST_TEST(ec == asio::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE(abort_wakes_a_send_that_waits_for_room)
{
    for (auto const message : {"no room", ""})
    {
        full const server;
        datagram_client client(server.address());
        beside sender([&] {
            error_code ec;
            client.send(message, ec);
            return ec;
        });
        sender.wait_until_asleep();
        client.abort();
        BOOST_TEST(sender.get() == asio::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE(signals_that_interrupt_are_not_seen)
{
    support::counted_signal const storm(SIGUSR1);
    bound const server;
    datagram_client client(server.address());
    beside receiver([&] { return client.receive(); });
    for (int i = 0; i < 20; ++i)
    {
        receiver.wait_until_asleep();
        receiver.signal(SIGUSR1);
    }
    server.send("hello", client.local_endpoint());
    BOOST_TEST(receiver.get() == "hello");
    BOOST_TEST(storm.count() > 0);
}

// ---------------------------------------------------------------- within a request

BOOST_AUTO_TEST_CASE(an_abort_of_the_request_wakes_it)
{
    bound const silent;
    ready<tcp_server> server("127.0.0.1:0", [](stream&) {});
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"));
    beside receiver([&] {
        active_request::scope const current(&request);
        datagram_client client(silent.address());
        error_code ec;
        client.receive(ec);
        return ec;
    });
    receiver.wait_until_asleep();
    request.abort();
    BOOST_TEST(receiver.get() == asio::error::operation_aborted);
    request.leave();
}

BOOST_AUTO_TEST_CASE(what_the_request_holds_back_is_sent_before_it_waits)
{
    bound const silent;
    ready<tcp_server> server("127.0.0.1:0", [](stream&) {});
    auto record = std::make_shared<memory_transport::record>();
    stream primary(std::make_unique<memory_transport>("", record));
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"), &primary);
    active_request::scope const current(&request);
    {
        datagram_client client(silent.address());
        client.timeout(1ms);
        primary.wfile() << "asking ...";
        error_code ec;
        client.receive(ec);
    }
    BOOST_TEST(record->output == "asking ...");
    request.leave();
}

// In a coroutine: others go on meanwhile, and the end of the server ends it.
BOOST_AUTO_TEST_CASE(suspends_only_its_coroutine)
{
    bound const silent;
    support::served<synchronous_udp_server> elsewhere("127.0.0.1:0", echo);
    error_code at_the_end;
    {
        support::served<coroutine_tcp_server> server("127.0.0.1:0", [&](stream& s) {
            for (std::string line; s.read_line(line);)
            {
                bool const is_for_ever = line == "for ever";
                datagram_client client(
                    is_for_ever ? silent.address() : elsewhere->server_address());
                if (is_for_ever)
                {
                    s.wfile() << "trying\n";
                    while (!active_request::current()->aborted())
                        client.receive(at_the_end);
                    return;
                }
                s.wfile() << ask(client, line) << '\n';
            }
        });
        server->drain_timeout = 50ms;
        auto a = server.connect();
        auto b = server.connect();
        a.send("for ever\n");
        BOOST_TEST(a.line() == "trying");
        for (auto const* const question : {"one", "two"})
        {
            b.send(question + "\n"s);
            BOOST_TEST(b.line() == question);
        }
    }
    BOOST_TEST(at_the_end == asio::error::operation_aborted);
}

BOOST_AUTO_TEST_SUITE_END()
