// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/connect.hpp>

#define BOOST_TEST_MODULE connect
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/connected.hpp"
#include "support/descriptors.hpp"
#include "support/lasts.hpp"
#include "support/names.hpp"
#include "support/served.hpp"

#include <socketserver/active_request.hpp>
#include <socketserver/memory_transport.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/servers.hpp>

#include <boost/system/system_error.hpp>

#include <chrono>
#include <fcntl.h>
#include <istream>
#include <memory>
#include <ostream>
#include <poll.h>
#include <string>
#include <sys/un.h>
#include <vector>

namespace asio = boost::asio;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;
using support::beside;

namespace {

// A server that does not answer: its queue is full, and more is neither taken nor refused.
class silent
{
public:
    silent()
    {
        for (;;)
        {
            int const fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            auto const& to = address();
            ::connect(
                fd, static_cast<sockaddr const*>(to.data()), static_cast<socklen_t>(to.size()));
            waiting_.emplace_back(fd);
            pollfd connected{fd, POLLOUT, 0};
            if (::poll(&connected, 1, 30) == 0)
                return;
        }
    }

    endpoint const& address() const { return listener_.address(); }

private:
    support::listener listener_{0};
    std::vector<support::client> waiting_;
};

// An address at which nobody listens.
endpoint nobody()
{
    return support::listener().address();
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(connecting, support::no_descriptor_left)

BOOST_AUTO_TEST_CASE(gives_a_stream)
{
    support::listener l;
    auto s = connect(l.address());
    auto peer = l.accept();
    BOOST_TEST((s.remote_endpoint() == l.address()));
    s.wfile() << "hello\n";
    peer.send("and hello\n");
    std::string line;
    s.read_line(line);
    BOOST_TEST(line == "and hello");
    BOOST_TEST(peer.line() == "hello");
    BOOST_TEST((::fcntl(s.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
    BOOST_TEST((::fcntl(s.native_handle(), F_GETFL) & O_NONBLOCK) == 0);
}

BOOST_AUTO_TEST_CASE(gives_a_stream_by_the_form_that_does_not_throw)
{
    support::listener l;
    error_code ec = asio::error::eof;
    auto const s = connect(l.address(), 10s, ec);
    BOOST_TEST(!ec);
    BOOST_TEST(s.is_open());
}

BOOST_AUTO_TEST_CASE(reaches_a_unix_socket)
{
    endpoint const name("unix:@socketserver-test-connect-" + std::to_string(::getpid()));
    int const fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BOOST_TEST_REQUIRE(::bind(fd, static_cast<sockaddr const*>(name.data()),
                           static_cast<socklen_t>(name.size())) == 0);
    BOOST_TEST_REQUIRE(::listen(fd, 1) == 0);
    auto s = connect(name);
    support::client peer(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
    s.send_all("hello\n");
    BOOST_TEST(peer.line() == "hello");
    ::close(fd);
}

BOOST_AUTO_TEST_CASE(waits_for_room_at_a_unix_socket)
{
    endpoint const name("unix:@socketserver-test-connect-" + std::to_string(::getpid()));
    int const fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BOOST_TEST_REQUIRE(::bind(fd, static_cast<sockaddr const*>(name.data()),
                           static_cast<socklen_t>(name.size())) == 0);
    // Room for one.
    BOOST_TEST_REQUIRE(::listen(fd, 0) == 0);
    auto const first = connect(name);
    support::check_lasts(80ms, [&] {
        error_code ec;
        connect(name, 80ms, ec);
        BOOST_TEST(ec == asio::error::timed_out);
    });
    beside second([&] { return connect(name); });
    second.wait_until_asleep();
    BOOST_TEST(!second.is_done());
    support::client const accepted(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
    BOOST_TEST(second.get().is_open());
    ::close(fd);
}

BOOST_AUTO_TEST_CASE(names_the_endpoint_that_refuses)
{
    auto const address = nobody();
    BOOST_CHECK_EXCEPTION(connect(address), system_error,
        support::names(address.str(), asio::error::connection_refused));
    error_code ec;
    BOOST_TEST(!connect(address, {}, ec).is_open());
    BOOST_TEST(ec == asio::error::connection_refused);
}

BOOST_AUTO_TEST_CASE(refuses_no_endpoint_at_all)
{
    error_code ec;
    BOOST_TEST(!connect(endpoint(), {}, ec).is_open());
    BOOST_TEST(ec == asio::error::invalid_argument);
}

BOOST_AUTO_TEST_CASE(waits_no_longer_than_the_limit)
{
    silent const server;
    support::check_lasts(150ms, [&] {
        BOOST_CHECK_EXCEPTION(connect(server.address(), 150ms), system_error,
            support::names(server.address().str(), asio::error::timed_out));
    });
}

BOOST_AUTO_TEST_CASE(the_limit_is_of_the_connecting_alone)
{
    support::listener l;
    auto s = connect(l.address(), 30ms);
    auto peer = l.accept();
    beside reader([&] {
        std::string line;
        s.read_line(line);
        return line;
    });
    reader.wait_until_asleep();
    ::poll(nullptr, 0, 60);
    peer.send("late\n");
    BOOST_TEST(reader.get() == "late");
}

BOOST_AUTO_TEST_CASE(signals_that_interrupt_are_not_seen)
{
    support::counted_signal const storm(SIGUSR1);
    silent const server;
    support::check_lasts(200ms, [&] {
        beside connecting([&] {
            error_code ec;
            connect(server.address(), 200ms, ec);
            return ec;
        });
        while (!connecting.is_done())
        {
            connecting.signal(SIGUSR1);
            ::poll(nullptr, 0, 5);
        }
        BOOST_TEST(connecting.get() == asio::error::timed_out);
    });
}

BOOST_AUTO_TEST_CASE(an_abort_of_the_request_wakes_it)
{
    silent const nobody_answers;
    ready<tcp_server> server("127.0.0.1:0", [](stream&) {});
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"));
    auto const try_it = [&] {
        active_request::scope const current(&request);
        error_code ec;
        connect(nobody_answers.address(), {}, ec);
        return ec;
    };
    beside connecting(try_it);
    connecting.wait_until_asleep();
    request.abort();
    BOOST_TEST(connecting.get() == asio::error::operation_aborted);
    // From now on it does not even begin to wait.
    BOOST_TEST(try_it() == asio::error::operation_aborted);
    request.leave();
}

BOOST_AUTO_TEST_CASE(an_abort_of_the_request_ends_its_stream)
{
    support::listener l;
    ready<tcp_server> server("127.0.0.1:0", [](stream&) {});
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"));
    active_request::scope const current(&request);
    auto s = connect(l.address());
    request.abort();
    error_code ec;
    s.send_all("x", ec);
    BOOST_TEST(ec == asio::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE(what_the_request_holds_back_is_sent_before)
{
    ready<tcp_server> server("127.0.0.1:0", [](stream&) {});
    auto record = std::make_shared<memory_transport::record>();
    stream primary(std::make_unique<memory_transport>("", record));
    active_request request(server);
    request.enter(endpoint("192.0.2.1:1234"), &primary);
    active_request::scope const current(&request);
    primary.wfile() << "connecting ...";
    error_code ec;
    connect(nobody(), {}, ec);
    BOOST_TEST(record->output == "connecting ...");
}

// In a coroutine: others go on meanwhile, and an abort ends it although it tries for ever.
BOOST_AUTO_TEST_CASE(suspends_only_its_coroutine)
{
    silent const nobody_answers;
    support::listener elsewhere;
    error_code at_the_end;
    auto const serve = [&](stream& s) {
        for (std::string line; s.read_line(line);)
        {
            error_code ec;
            if (line == "for ever")
            {
                s.wfile() << "trying\n" << std::flush;
                while (!active_request::current()->aborted())
                    connect(nobody_answers.address(), {}, at_the_end);
                return;
            }
            if (line == "150 ms")
            {
                connect(nobody_answers.address(), 150ms, ec);
                line = ec == asio::error::timed_out ? "timed out" : ec.message();
            }
            if (line == "elsewhere")
                connect(elsewhere.address()).read_line(line);
            s.wfile() << line << '\n';
        }
    };
    {
        support::served<coroutine_tcp_server> server("127.0.0.1:0", serve);
        server->drain_timeout = 50ms;
        auto a = server.connect();
        auto b = server.connect();
        a.send("for ever\n");
        BOOST_TEST(a.line() == "trying");
        b.send("echo\n");
        BOOST_TEST(b.line() == "echo");
        support::check_lasts(150ms, [&] {
            b.send("150 ms\n");
            BOOST_TEST(b.line() == "timed out");
        });
        b.send("elsewhere\n");
        auto peer = elsewhere.accept();
        peer.send("from elsewhere\n");
        BOOST_TEST(b.line() == "from elsewhere");
    }
    BOOST_TEST(at_the_end == asio::error::operation_aborted);
}

BOOST_AUTO_TEST_SUITE_END()
