// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/datagram.hpp>

#define BOOST_TEST_MODULE datagram
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/descriptors.hpp"
#include "support/folder.hpp"
#include "support/ipv6.hpp"
#include "support/lasts.hpp"
#include "support/names.hpp"
#include "support/request.hpp"
#include "support/served.hpp"

#include <socketserver/servers.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <istream>
#include <iterator>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

namespace asio = boost::asio;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;
using support::beside;
using support::datagram_peer;

namespace {

// A datagram that was received, outside of its handler.
template <class Server>
class received
{
public:
    received(endpoint const& address, std::string_view packet)
        : request_(address, [this](datagram& d) { d_ = std::move(d); })
    {
        request_.ask(packet);
    }

    datagram& operator*() noexcept { return d_; }
    datagram* operator->() noexcept { return &d_; }
    datagram_peer& client() noexcept { return request_.client(); }
    Server& server() noexcept { return request_.server(); }

private:
    // The socket is closed when the last of both is gone.
    support::no_descriptor_left nothing_;
    datagram d_;
    support::datagram_request<Server> request_;
};

struct udp : received<udp_server>
{
    explicit udp(std::string_view packet = "a question")
        : received("127.0.0.1:0", packet)
    {
    }
};

// Its client can be one that does not read.
struct unix_datagram : private support::folder, received<unix_datagram_server>
{
    explicit unix_datagram(std::string_view packet = "a question")
        : received(support::unix_endpoint(*this / "server"), packet)
    {
    }
};

} // namespace

BOOST_AUTO_TEST_CASE(is_none_at_first)
{
    datagram d;
    BOOST_TEST(!d.is_open());
    BOOST_TEST(d.packet() == "");
    BOOST_TEST(!d.truncated());
    BOOST_TEST((d.sender() == endpoint()));
    BOOST_TEST(!d.peer_credentials());
    BOOST_TEST(d.native_handle() == -1);
    d.timeout(1s);
    d.abort();
    d.close();
    error_code ec;
    d.send("x", ec);
    BOOST_TEST(ec == asio::error::bad_descriptor);
    ec = {};
    d.send_to("127.0.0.1:9", "x", ec);
    BOOST_TEST(ec == asio::error::bad_descriptor);
    BOOST_CHECK_THROW(d.send("x"), system_error);
    BOOST_CHECK_THROW(d.send_to("127.0.0.1:9", "x"), system_error);
}

BOOST_AUTO_TEST_CASE(knows_what_was_received_and_from_whom)
{
    udp d("one\ntwo");
    BOOST_TEST(d->is_open());
    BOOST_TEST(d->packet() == "one\ntwo");
    BOOST_TEST(!d->truncated());
    BOOST_TEST((d->sender().port() == d.client().name().port()));
    BOOST_TEST(d->sender().host() == "127.0.0.1");
    BOOST_TEST(d->native_handle() == d.server().fileno());
}

BOOST_AUTO_TEST_CASE(is_read_as_a_standard_stream_with_an_end)
{
    udp d("one\ntwo");
    std::string line;
    BOOST_TEST((std::getline(d->rfile(), line) && line == "one"));
    BOOST_TEST((std::getline(d->rfile(), line) && line == "two"));
    BOOST_TEST(!std::getline(d->rfile(), line));
    BOOST_TEST(d->packet() == "one\ntwo");

    udp const all_bytes("\0\n\xff"sv);
    udp empty("");
    BOOST_TEST(empty->is_open());
    BOOST_TEST(empty->rfile().get() == std::istream::traits_type::eof());
}

BOOST_AUTO_TEST_CASE(is_read_byte_for_byte)
{
    std::string packet(65507, '\0');
    for (std::size_t i = 0; i < packet.size(); ++i)
        packet[i] = static_cast<char>(i * 7);
    udp d(packet);
    BOOST_TEST((std::string(std::istreambuf_iterator<char>(d->rfile()), {}) == packet));
}

BOOST_AUTO_TEST_CASE(moves_with_all_that_is_in_it)
{
    udp d("one two");
    std::string word;
    d->rfile() >> word;
    auto const packet = d->packet();
    datagram other(std::move(*d));
    BOOST_TEST(!d->is_open());
    BOOST_TEST(other.packet().data() == packet.data());
    other.rfile() >> word;
    BOOST_TEST(word == "two");
    datagram third;
    third = std::move(other);
    BOOST_TEST(!other.is_open());
    third.send("answered");
    BOOST_TEST(d.client().receive() == "answered");
}

BOOST_AUTO_TEST_CASE(answers_at_once_and_as_often_as_it_is_told_to)
{
    udp d;
    d->wfile() << "collected" << std::flush;
    endpoint from;
    d->send("first");
    BOOST_TEST(d.client().receive(from) == "first");
    BOOST_TEST((from == d.server().server_address()));
    error_code ec = asio::error::eof;
    d->send("", ec);
    BOOST_TEST(!ec);
    BOOST_TEST(d.client().receive() == "");
    BOOST_TEST(d.client().hears_nothing());
}

BOOST_AUTO_TEST_CASE(an_answer_longer_than_a_datagram_is_an_error)
{
    udp d;
    error_code ec;
    d->send(std::string(65508, 'x'), ec);
    BOOST_TEST(ec == asio::error::message_size);
    BOOST_CHECK_THROW(d->send(std::string(65508, 'x')), system_error);
    d->send(std::string(65507, 'x'));
    BOOST_TEST(d.client().receive().size() == 65507u);
    BOOST_TEST(d.client().hears_nothing());
}

BOOST_AUTO_TEST_CASE(sends_to_somebody_else_from_the_address_of_the_server)
{
    udp d;
    datagram_peer other("127.0.0.1:0");
    other.send("", d.server().server_address());
    endpoint from;
    d->send_to(other.name().with_port(other.name().port()), "hello");
    BOOST_TEST(other.receive(from) == "hello");
    BOOST_TEST((from == d.server().server_address()));
    BOOST_TEST(d.client().hears_nothing());

    BOOST_CHECK_EXCEPTION(
        d->send_to("unix:@nobody", "hello"), system_error, support::names("unix:@nobody"));
}

BOOST_AUTO_TEST_CASE(a_dual_stack_server_sends_to_either_family)
{
    received<udp_server> d(":0", "a question");
    auto const port = d.server().server_address().port();
    auto const at = [&](char const* loopback) {
        datagram_peer other(endpoint(loopback).with_port(port));
        other.send("to have a port");
        auto const name = endpoint(loopback).with_port(other.name().port());
        d->send_to(name, "hello");
        endpoint from;
        BOOST_TEST(other.receive(from) == "hello");
        BOOST_TEST((from == endpoint(loopback).with_port(port)));
    };
    at("127.0.0.1:0");
    if (support::has_ipv6())
        at("[::1]:0");
}

BOOST_AUTO_TEST_CASE(an_answer_comes_from_the_address_that_was_asked)
{
    std::string answered_from;
    support::datagram_request<udp_server> r("0.0.0.0:0", [](datagram& d) { d.send("hello"); });
    auto const asked = endpoint("127.0.0.2:0").with_port(r.server().server_address().port());
    r.client().send("", asked);
    r.handle();
    endpoint from;
    BOOST_TEST(r.client().receive(from) == "hello");
    BOOST_TEST((from == asked));
}

BOOST_AUTO_TEST_CASE(answers_when_its_server_is_closed_or_gone)
{
    support::no_descriptor_left const nothing;
    datagram d;
    std::optional<support::datagram_request<udp_server>> r(
        std::in_place, "127.0.0.1:0", [&](datagram& request) { d = std::move(request); });
    r->ask("a question");
    auto& server = r->server();
    server.server_close();
    BOOST_TEST(server.fileno() == -1);
    d.send("closed");
    BOOST_TEST(r->client().receive() == "closed");
    datagram_peer client(std::move(r->client()));
    r.reset();
    d.send("gone");
    BOOST_TEST(client.receive() == "gone");
}

BOOST_AUTO_TEST_CASE(is_answered_by_another_thread)
{
    udp d;
    beside other([&] {
        d->send("from another thread");
        return d->packet().size();
    });
    BOOST_TEST(other.get() == 10u);
    BOOST_TEST(d.client().receive() == "from another thread");
}

BOOST_AUTO_TEST_CASE(an_answer_to_a_unix_client_without_a_name_goes_nowhere)
{
    support::folder const folder;
    ready<unix_datagram_server> server(support::unix_endpoint(folder / "s"), [](datagram& d) {
        BOOST_TEST(d.packet() == "a question");
        BOOST_TEST((d.sender() == endpoint()));
        error_code ec = asio::error::eof;
        d.send("nobody hears this", ec);
        BOOST_TEST(!ec);
    });
    auto client = datagram_peer::unnamed(server.server_address());
    client.send("a question");
    server.handle_request();
    BOOST_TEST(client.hears_nothing());
}

BOOST_AUTO_TEST_CASE(says_that_a_unix_client_is_gone)
{
    unix_datagram d;
    d.client().close();
    error_code ec;
    d->send("x", ec);
    BOOST_TEST(ec == asio::error::connection_reset);
    BOOST_CHECK_THROW(d->send("x"), system_error);
}

BOOST_AUTO_TEST_CASE(waits_a_second_for_room_unless_told_otherwise)
{
    unix_datagram d;
    support::fill(d.client().name());
    auto const send = [&] {
        error_code ec;
        d->send("x", ec);
        BOOST_TEST(ec == asio::error::timed_out);
    };
    support::check_lasts(1s, send);
    d->timeout(80ms);
    support::check_lasts(80ms, send);
    d->timeout(0ms);
    support::check_lasts(0ms, send);
}

BOOST_AUTO_TEST_CASE(waits_for_room_as_long_as_it_takes)
{
    unix_datagram d;
    d->timeout({});
    support::fill(d.client().name());
    beside sender([&] {
        error_code ec;
        d->send("at last", ec);
        return ec;
    });
    sender.wait_until_asleep();
    BOOST_TEST(!sender.is_done());
    while (d.client().receive() != "at last")
        ;
    BOOST_TEST(!sender.get());
}

BOOST_AUTO_TEST_CASE(abort_wakes_a_send_that_waits)
{
    unix_datagram d;
    d->timeout({});
    support::fill(d.client().name());
    beside sender([&] {
        error_code ec;
        d->send("x", ec);
        return ec;
    });
    sender.wait_until_asleep();
    d->abort();
    BOOST_TEST(sender.get() == asio::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE(after_an_abort_every_operation_fails)
{
    udp d;
    d->abort();
    error_code ec;
    d->send("x", ec);
    BOOST_TEST(ec == asio::error::operation_aborted);
    d->send_to(d.client().name(), "x", ec);
    BOOST_TEST(ec == asio::error::operation_aborted);
    BOOST_CHECK_THROW(d->rfile().get(), system_error);
    BOOST_TEST(d.client().hears_nothing());
}

// In a coroutine: others go on meanwhile, and the end of the server ends it.
BOOST_AUTO_TEST_CASE(waiting_for_room_suspends_only_its_coroutine)
{
    support::folder const folder;
    error_code at_the_end;
    {
        support::served<coroutine_unix_datagram_server> server(
            support::unix_endpoint(folder / "s"), [&](datagram& d) {
                d.timeout({});
                if (d.packet() != "full")
                    return d.send(d.packet());
                d.send_to(d.sender(), "no room", at_the_end);
            });
        server->drain_timeout = 50ms;
        datagram_peer a(server->server_address());
        datagram_peer b(server->server_address());
        support::fill(a.name());
        a.send("full");
        for (int i = 0; i < 20; ++i)
        {
            b.send("hello");
            BOOST_TEST(b.receive() == "hello");
        }
        server.stop();
        server->server_close();
    }
    BOOST_TEST(at_the_end == asio::error::operation_aborted);
}
