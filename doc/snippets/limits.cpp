// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Limits: on time, on lines, on how many requests run at once, and on who may ask at all.

#define BOOST_TEST_MODULE limits
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"
#include "support/logged.hpp"
#include "support/served.hpp"

#include <socketserver.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <istream>
#include <ostream>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <utility>

using namespace socketserver;
using namespace std::chrono_literals;
using support::client;
using support::served;

namespace {

// tag::time[]
class login : public stream_request_handler
{
public:
    login()
    {
        timeout = 1s;   // for each wait
        deadline = 10s; // for the whole conversation
    }

private:
    void handle() override
    {
        wfile() << "who are you?\n";
        std::string name;
        try
        {
            if (!request().read_line(name, 40))
                return; // the client has ended without a word
        }
        catch (boost::system::system_error const& e)
        {
            if (e.code() != boost::asio::error::timed_out)
                throw;
            request().deadline(1s); // after the old one nothing could be sent
            wfile() << "too late\n";
            return;
        }
        wfile() << "welcome, " << name << '\n';
    }
};
// end::time[]

// Whom only the deadline ends.
class login_at_once : public login
{
public:
    login_at_once()
    {
        timeout = {};
        deadline = 50ms;
    }
};

class patient : public stream_request_handler
{
    void handle() override
    {
        // tag::line[]
        std::string line;
        request().deadline(5s); // for all of the line, in however many pieces it comes
        request().read_line(line, 80);
        request().deadline({}); // what follows has no limit
        // end::line[]
        wfile() << line << '\n';
    }
};

class echo : public stream_request_handler
{
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line);)
            wfile() << line << '\n';
    }
};

// tag::verify[]
class local_server : public tcp_server
{
public:
    local_server(endpoint address, handler_factory<stream> handlers)
        : tcp_server(std::move(address), std::move(handlers))
    {
        request_queue_size = 100;
    }

private:
    bool verify_request(stream&, endpoint const& client_address) override
    {
        return client_address.host() == "127.0.0.1";
    }
};
// end::verify[]

// tag::admission[]
class busy_server : public tcp_server
{
public:
    busy_server(endpoint address, handler_factory<stream> handlers)
        : tcp_server(std::move(address), std::move(handlers))
    {
        max_active = 200;
        max_active_per_client = 1;
        when_full = at_limit::refuse;
    }

private:
    void refuse_request(stream& request, endpoint const&) override
    {
        request.send_all("try again later\n");
    }
};
// end::admission[]

// tag::signal[]
base_server* served_here = nullptr;

void log_counters(int)
{
    served_here->request_counters_log();
}

void log_counters_on_signal(base_server& server)
{
    served_here = &server;
    struct sigaction action
    {
    };
    action.sa_handler = log_counters;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGUSR1, &action, nullptr);
}
// end::signal[]

// A client whose own address is given.
client client_from(endpoint const& own, std::uint16_t port)
{
    int const fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto const to = own.with_port(port);
    BOOST_TEST_REQUIRE(::bind(fd, static_cast<sockaddr const*>(own.data()),
                           static_cast<socklen_t>(own.size())) == 0);
    BOOST_TEST_REQUIRE(::connect(fd, static_cast<sockaddr const*>(to.data()),
                           static_cast<socklen_t>(to.size())) == 0);
    return client(fd);
}

} // namespace

BOOST_AUTO_TEST_CASE(who_says_nothing_is_told_so)
{
    served<threading_tcp_server> s("127.0.0.1:0", handler<login>);
    auto quick = s.connect();
    auto slow = s.connect();
    quick.send("Ann\n");
    BOOST_TEST(quick.all() == "who are you?\nwelcome, Ann\n");
    BOOST_TEST(slow.all() == "who are you?\ntoo late\n");
}

BOOST_AUTO_TEST_CASE(after_the_deadline_there_is_time_for_a_goodbye)
{
    served<threading_tcp_server> s("127.0.0.1:0", handler<login_at_once>);
    BOOST_TEST(s.connect().all() == "who are you?\ntoo late\n");
}

BOOST_AUTO_TEST_CASE(a_line_may_have_a_limit_of_its_own)
{
    served<threading_tcp_server> s("127.0.0.1:0", handler<patient>);
    auto c = s.connect();
    c.send("hello\n");
    BOOST_TEST(c.all() == "hello\n");
}

BOOST_AUTO_TEST_CASE(a_limit_is_an_attribute)
{
    // tag::attribute[]
    threading_tcp_server server("127.0.0.1:0", handler<echo>);
    server.max_threads = 50;
    // end::attribute[]
    BOOST_TEST(server.max_threads == 50u);
}

BOOST_AUTO_TEST_CASE(what_is_read_when_the_server_is_bound_is_set_before)
{
    // tag::deferred[]
    threading_tcp_server server(defer_activation, "127.0.0.1:0", handler<echo>);
    server.request_queue_size = 100;
    server.allow_reuse_port = true;
    server.activate();
    // end::deferred[]
    BOOST_TEST(server.server_address().port() != 0);
}

BOOST_AUTO_TEST_CASE(one_too_many_is_refused_with_a_goodbye)
{
    // tag::counters[]
    ready<coroutine_mixin<busy_server>> server("127.0.0.1:0", handler<echo>);
    std::thread loop([&] { server.serve_forever(); });
    client one(server.server_address());
    one.send("hello\n");
    BOOST_TEST(one.line() == "hello");
    client two(server.server_address());
    BOOST_TEST(two.line() == "try again later");

    server_counters const counters = server.counters();
    BOOST_TEST(counters.accepted == 2u);
    BOOST_TEST(counters.active == 1u);
    BOOST_TEST(counters.refused_per_client == 1u);
    // end::counters[]
    one.end();
    BOOST_TEST(one.sees_end());
    server.shutdown();
    loop.join();
}

BOOST_AUTO_TEST_CASE(counters_are_logged_on_a_signal)
{
    support::logged log;
    served<threading_tcp_server> s("127.0.0.1:0", handler<echo>);
    log_counters_on_signal(*s.operator->());
    std::raise(SIGUSR1);
    BOOST_TEST(log.wait_for("accepted 0"));
    std::signal(SIGUSR1, SIG_DFL);
}

BOOST_AUTO_TEST_CASE(a_server_class_decides_who_may_ask)
{
    // tag::verify-server[]
    ready<threading_mixin<local_server>> server(":0", handler<echo>); // every interface
    // end::verify-server[]
    std::thread loop([&] { server.serve_forever(); });
    client here(endpoint("127.0.0.1:0").with_port(server.server_address().port()));
    here.send("hello\n");
    BOOST_TEST(here.line() == "hello");
    client elsewhere = client_from("127.0.0.2:0", server.server_address().port());
    BOOST_TEST(elsewhere.sees_end());
    server.shutdown();
    loop.join();
}
