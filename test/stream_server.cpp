// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/stream_server.hpp>

#define BOOST_TEST_MODULE stream_server
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/client.hpp"
#include "support/logged.hpp"
#include "support/served.hpp"

#include <socketserver/ready.hpp>
#include <socketserver/strategy/threading_mixin.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <latch>
#include <memory>
#include <netinet/tcp.h>
#include <ostream>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <vector>

namespace asio = boost::asio;
namespace data = boost::unit_test::data;
using asio::ip::tcp;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;
using support::client;
using support::served;

namespace {

void echo(stream& s)
{
    for (std::string line; s.read_line(line);)
        s.wfile() << line << '\n';
}

void tell_the_client(stream& s, endpoint const& client_address)
{
    s.wfile() << client_address.str() << '\n';
}

using synchronous = ready<tcp_server>;
using threading = ready<threading_mixin<tcp_server>>;

template <class Option>
Option option_of(tcp_server& server)
{
    Option option;
    server.acceptor().get_option(option);
    return option;
}

bool has_ipv6()
{
    int const fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    endpoint const loopback("[::1]:0");
    bool const has = fd >= 0 && ::bind(fd, static_cast<sockaddr const*>(loopback.data()),
                                    static_cast<socklen_t>(loopback.size())) == 0;
    ::close(fd);
    return has;
}

boost::test_tools::assertion_result with_ipv6(boost::unit_test::test_unit_id)
{
    boost::test_tools::assertion_result result(has_ipv6());
    result.message() << "there is no IPv6 here";
    return result;
}

// To look at memory, that sanitizer opens a pipe, and takes its absence for a fault of the program.
boost::test_tools::assertion_result without_vptr_sanitizer(boost::unit_test::test_unit_id)
{
    boost::test_tools::assertion_result result(
        ::dlsym(RTLD_DEFAULT, "__ubsan_vptr_type_cache") == nullptr);
    result.message() << "the sanitizer needs descriptors of its own";
    return result;
}

bool is_close_on_exec(int descriptor)
{
    return (::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0;
}

// How many connections may wait at a listening socket.
unsigned backlog_of(int listening)
{
    tcp_info info{};
    socklen_t size = sizeof info;
    ::getsockopt(listening, IPPROTO_TCP, TCP_INFO, &info, &size);
    return info.tcpi_sacked;
}

bool reaches(endpoint const& address)
{
    try
    {
        client const c(address);
        return true;
    }
    catch (std::system_error const&)
    {
        return false;
    }
}

} // namespace

// ---------------------------------------------------------------- addresses

BOOST_AUTO_TEST_CASE(tells_the_real_port_after_binding_port_0)
{
    served<synchronous> server("127.0.0.1:0", echo);
    BOOST_TEST(server->server_address().port() != 0);
    BOOST_TEST(server->server_address().str().starts_with("127.0.0.1:"));
    BOOST_TEST((server->address_family() == address_family::ipv4));
    auto c = server.connect();
    c.send("hello\n");
    BOOST_TEST(c.line() == "hello");
}

BOOST_AUTO_TEST_CASE(tells_the_handler_who_asks)
{
    served<synchronous> server("127.0.0.1:0", tell_the_client);
    auto c = server.connect();
    sockaddr_storage name;
    socklen_t size = sizeof name;
    ::getsockname(c.descriptor(), reinterpret_cast<sockaddr*>(&name), &size);
    BOOST_TEST(c.line() == endpoint::from_native(&name, size).str());
}

BOOST_AUTO_TEST_CASE(names_the_address_that_is_taken)
{
    support::no_descriptor_left const nothing;
    synchronous const first("127.0.0.1:0", echo);
    auto const taken = first.server_address();
    BOOST_CHECK_EXCEPTION(synchronous(taken, echo), system_error, [&](system_error const& e) {
        BOOST_TEST(e.code() == asio::error::address_in_use);
        return std::string(e.what()).find(taken.str()) != std::string::npos;
    });
}

BOOST_AUTO_TEST_CASE(refuses_what_is_no_address_of_tcp)
{
    BOOST_CHECK_EXCEPTION(
        synchronous("unix:@name", echo), std::invalid_argument, [](auto const& e) {
            return std::string(e.what()).find("unix:@name") != std::string::npos;
        });
    BOOST_CHECK_THROW(synchronous(endpoint(), echo), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(serves_ipv4_clients_at_every_interface)
{
    served<synchronous> server(":0", tell_the_client);
    client c(endpoint("127.0.0.1:0").with_port(server->server_address().port()));
    // And not as a mapped address of IPv6.
    BOOST_TEST(c.line().starts_with("127.0.0.1:"));
}

BOOST_AUTO_TEST_CASE(
    serves_both_families_at_one_dual_stack_socket, *boost::unit_test::precondition(with_ipv6))
{
    served<synchronous> server(":0", tell_the_client);
    auto const port = server->server_address().port();
    BOOST_TEST(server->server_address().is_dual_stack());
    client c(endpoint("[::1]:0").with_port(port));
    BOOST_TEST(c.line().starts_with("[::1]:"));
    BOOST_TEST(reaches(endpoint("127.0.0.1:0").with_port(port)));
}

BOOST_AUTO_TEST_CASE(serves_ipv6_alone_when_told_so, *boost::unit_test::precondition(with_ipv6))
{
    served<synchronous> server("[::]:0", tell_the_client);
    auto const port = server->server_address().port();
    BOOST_TEST((server->address_family() == address_family::ipv6));
    BOOST_TEST(reaches(endpoint("[::1]:0").with_port(port)));
    BOOST_TEST(!reaches(endpoint("127.0.0.1:0").with_port(port)));
}

// ---------------------------------------------------------------- how it listens

BOOST_AUTO_TEST_CASE(waits_with_binding_when_asked_to)
{
    synchronous server(defer_activation, "127.0.0.1:0", echo);
    BOOST_TEST(server.fileno() == -1);
    BOOST_TEST(server.server_address().port() == 0);
    server.request_queue_size = 7;
    server.activate();
    BOOST_TEST(server.fileno() == server.acceptor().native_handle());
    BOOST_TEST(backlog_of(server.fileno()) == 7u);
}

BOOST_AUTO_TEST_CASE(lets_as_many_wait_as_the_system_allows)
{
    synchronous const server("127.0.0.1:0", echo);
    BOOST_TEST(backlog_of(server.fileno()) >= 128u);
}

BOOST_AUTO_TEST_CASE(sets_the_options_it_is_told_to)
{
    synchronous server(defer_activation, "127.0.0.1:0", echo);
    server.allow_reuse_address = false;
    server.activate();
    BOOST_TEST(!option_of<tcp::acceptor::reuse_address>(server).value());
    synchronous usual("127.0.0.1:0", echo);
    BOOST_TEST(option_of<tcp::acceptor::reuse_address>(usual).value());
}

BOOST_AUTO_TEST_CASE(shares_its_port_when_all_allow_it)
{
    synchronous first(defer_activation, "127.0.0.1:0", echo);
    first.allow_reuse_port = true;
    first.activate();
    synchronous second(defer_activation, first.server_address(), echo);
    second.allow_reuse_port = true;
    second.activate();
    BOOST_TEST(second.server_address().port() == first.server_address().port());
    BOOST_CHECK_THROW(synchronous(first.server_address(), echo), system_error);
}

BOOST_AUTO_TEST_CASE(its_descriptors_are_close_on_exec)
{
    std::atomic<bool> accepted{false};
    served<synchronous> server(
        "127.0.0.1:0", [&](stream& s) { accepted = is_close_on_exec(s.native_handle()); });
    BOOST_TEST(is_close_on_exec(server->fileno()));
    BOOST_TEST(server.connect().sees_end());
    BOOST_TEST(accepted);
}

BOOST_AUTO_TEST_CASE(takes_over_an_acceptor_that_listens)
{
    support::no_descriptor_left const nothing;
    asio::io_context context;
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    acceptor.listen(5);
    acceptor.set_option(tcp::no_delay(true));
    auto const port = acceptor.local_endpoint().port();
    {
        // A client that came before.
        client early(endpoint("127.0.0.1:0").with_port(port));
        served<synchronous> server(std::move(acceptor), echo);
        BOOST_TEST(!acceptor.is_open());
        BOOST_TEST(server->server_address().port() == port);
        BOOST_TEST(option_of<tcp::no_delay>(server.server()).value());
        BOOST_TEST(backlog_of(server->fileno()) == 5u);
        BOOST_TEST(is_close_on_exec(server->fileno()));
        early.send("early\n");
        BOOST_TEST(early.line() == "early");
        early.close();
        auto c = server.connect();
        c.send("hello\n");
        BOOST_TEST(c.line() == "hello");
    }
    BOOST_TEST(!reaches(endpoint("127.0.0.1:0").with_port(port)));
}

BOOST_AUTO_TEST_CASE(takes_over_an_acceptor_and_closes_it_even_if_never_activated)
{
    support::no_descriptor_left const nothing;
    asio::io_context context;
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    synchronous const server(defer_activation, std::move(acceptor), echo);
}

BOOST_AUTO_TEST_CASE(hangs_up_on_those_who_wait_when_it_closes)
{
    synchronous server("127.0.0.1:0", echo);
    client c(server.server_address());
    server.server_close();
    BOOST_TEST(c.sees_end());
    BOOST_TEST(!reaches(server.server_address()));
}

BOOST_AUTO_TEST_CASE(an_announced_client_that_is_gone_does_not_block_the_loop)
{
    served<synchronous> server("127.0.0.1:0", echo);
    for (int i = 0; i < 20; ++i)
        server.connect().reset();
    auto c = server.connect();
    c.send("hello\n");
    BOOST_TEST(c.line() == "hello");
}

// ---------------------------------------------------------------- goodbye

BOOST_AUTO_TEST_CASE(a_reply_reaches_a_client_that_had_more_to_say)
{
    std::string const reply(1 << 20, 'r');
    served<synchronous> server("127.0.0.1:0", [&](stream& s) {
        std::string line;
        s.read_line(line);
        s.send_all(reply);
    });
    for (int i = 0; i < 5; ++i)
    {
        auto c = server.connect();
        c.send("a question\n" + std::string(100000, '?'));
        BOOST_TEST((c.all() == reply));
    }
}

BOOST_AUTO_TEST_CASE(a_client_that_stays_does_not_keep_its_request)
{
    served<synchronous> server("127.0.0.1:0", [](stream& s) { s.send_all("bye\n"); });
    auto a = server.connect();
    BOOST_TEST(a.line() == "bye");
    // It has not closed; the next one is served all the same.
    auto const begin = std::chrono::steady_clock::now();
    auto b = server.connect();
    BOOST_TEST(b.line() == "bye");
    BOOST_TEST((std::chrono::steady_clock::now() - begin < 1s));
    BOOST_TEST(a.sees_end());
}

BOOST_AUTO_TEST_CASE(what_is_not_verified_sees_the_end)
{
    class refusing : public tcp_server
    {
    public:
        using tcp_server::tcp_server;

        bool verify_request(stream&, endpoint const&) override { return false; }
    };
    served<ready<refusing>> server("127.0.0.1:0", echo);
    for (int i = 0; i < 3; ++i)
    {
        auto c = server.connect();
        c.send("nobody reads this");
        BOOST_TEST(c.sees_end());
    }
}

// ---------------------------------------------------------------- out of descriptors

BOOST_AUTO_TEST_CASE(out_of_descriptors_it_neither_spins_nor_loses_a_client,
    *boost::unit_test::precondition(without_vptr_sanitizer))
{
    support::logged log;
    constexpr std::size_t room = 3;
    constexpr std::size_t count = 8;
    std::atomic<clockid_t> clock{};
    std::atomic<bool> has_clock{false};

    class timed : public threading_mixin<tcp_server>
    {
    public:
        timed(std::atomic<clockid_t>& clock, std::atomic<bool>& has_clock)
            : threading_mixin("127.0.0.1:0", echo)
            , clock_(clock)
            , has_clock_(has_clock)
        {
        }

        std::optional<accepted> get_request() override
        {
            if (!has_clock_)
            {
                clockid_t own;
                ::pthread_getcpuclockid(::pthread_self(), &own);
                clock_ = own;
                has_clock_ = true;
            }
            return threading_mixin::get_request();
        }

    private:
        std::atomic<clockid_t>& clock_;
        std::atomic<bool>& has_clock_;
    };

    // They wait at the listener before there is a loop.
    ready<timed> server(clock, has_clock);
    std::vector<client> clients;
    for (std::size_t i = 0; i < count; ++i)
    {
        clients.emplace_back(server.server_address());
        clients.back().send("hello\n");
    }
    // From now on there is room for a few descriptors more.
    std::vector<int> next;
    for (std::size_t i = 0; i < room; ++i)
        next.push_back(::fcntl(server.fileno(), F_DUPFD_CLOEXEC, 0));
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit const few{static_cast<rlim_t>(next.back()) + 1, before.rlim_max};
    for (int const fd : next)
        ::close(fd);
    struct limited
    {
        rlimit before;
        ~limited() { ::setrlimit(RLIMIT_NOFILE, &before); }
    } const limit{before};
    BOOST_TEST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);

    support::beside loop([&] { server.serve_forever(1h); });
    std::size_t served = 0;
    for (; served < room; ++served)
        BOOST_TEST(clients.at(served).line() == "hello");
    BOOST_TEST(log.wait_for("warning: "));
    auto const used = [&] {
        timespec t{};
        ::clock_gettime(clock, &t);
        return t.tv_sec * 1s + t.tv_nsec * 1ns;
    };
    auto const at_first = used();
    ::poll(nullptr, 0, 300);
    BOOST_TEST((used() - at_first < 60ms));
    for (auto i = served; i < count; ++i)
        BOOST_TEST(clients.at(i).hears_nothing());

    // One goes, one comes, and at once.
    for (; served < count; ++served)
    {
        auto const begin = std::chrono::steady_clock::now();
        // Only the server's end of it: the number stays taken by the test.
        clients.at(served - room).end();
        BOOST_TEST(clients.at(served - room).sees_end());
        BOOST_TEST(clients.at(served).line() == "hello");
        BOOST_TEST((std::chrono::steady_clock::now() - begin < 250ms));
    }
    BOOST_TEST(log.count("warning: ") == 1u);
    for (auto& c : clients)
        c.end();
    server.shutdown();
    loop.get();
}
