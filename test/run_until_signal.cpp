// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/run_until_signal.hpp>

#define BOOST_TEST_MODULE run_until_signal
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"
#include "support/lasts.hpp"

#include <socketserver/log.hpp>
#include <socketserver/servers.hpp>

#include <boost/mp11/algorithm.hpp>
#include <boost/mp11/list.hpp>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <istream>
#include <mutex>
#include <ostream>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

using namespace socketserver;
using namespace std::chrono_literals;
using support::client;

namespace {

class repeater : public stream_request_handler
{
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line);)
        {
            wfile() << line << std::endl;
            if (line == "get stuck")
                for (;;)
                    ::pause();
        }
    }
};

// A process whose main function ends with run_until_signal.
template <class Server>
class process
{
public:
    explicit process(std::chrono::milliseconds drain_timeout = 20s)
    {
        int ends[2];
        int errors[2];
        BOOST_TEST_REQUIRE(::pipe(ends) == 0);
        BOOST_TEST_REQUIRE(::pipe(errors) == 0);
        pid_ = ::fork();
        if (pid_ == 0)
        {
            ::dup2(errors[1], STDERR_FILENO);
            ::close(errors[1]);
            run(ends[1], drain_timeout);
        }
        ::close(ends[1]);
        ::close(errors[1]);
        errors_ = errors[0];
        unsigned short port = 0;
        BOOST_TEST_REQUIRE(::read(ends[0], &port, sizeof port) == sizeof port);
        ::close(ends[0]);
        address = endpoint("127.0.0.1:0").with_port(port);
    }

    ~process()
    {
        if (pid_ > 0)
        {
            ::kill(pid_, SIGKILL);
            wait();
        }
        ::close(errors_);
    }

    // What it has said, once it has ended.
    std::string errors() const
    {
        std::string text;
        char some[4096];
        for (ssize_t n; (n = ::read(errors_, some, sizeof some)) > 0;)
            text.append(some, static_cast<std::size_t>(n));
        return text;
    }

    void signal(int number) const { ::kill(pid_, number); }

    int wait()
    {
        int status = 0;
        ::waitpid(std::exchange(pid_, 0), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

    endpoint address;

private:
    [[noreturn]] static void run(int tell, std::chrono::milliseconds drain_timeout)
    {
        int status = EXIT_FAILURE;
        try
        {
            Server server("127.0.0.1:0", handler<repeater>);
            server.drain_timeout = drain_timeout;
            server.abort_timeout = 500ms;
            log_to_stderr(log_severity::fatal);
            auto const port = server.server_address().port();
            // The handlers are in place when the first client is answered.
            if (::write(tell, &port, sizeof port) == sizeof port)
                status = run_until_signal(server);
        }
        catch (...)
        {
        }
        ::_exit(status);
    }

    pid_t pid_;
    int errors_;
};

client conversing(endpoint const& server)
{
    client c(server);
    c.send("hello\n");
    BOOST_TEST(c.line() == "hello");
    return c;
}

} // namespace

using own = boost::mp11::mp_list<synchronous_tcp_server, threading_tcp_server,
    thread_pool_tcp_server, forking_tcp_server, coroutine_tcp_server>;
using all = boost::mp11::mp_push_back<own, preforking_tcp_server>;

BOOST_AUTO_TEST_CASE_TEMPLATE(the_first_signal_drains, Server, all)
{
    process<Server> server;
    auto c = conversing(server.address);
    server.signal(SIGTERM);
    c.send("still there?\n");
    BOOST_TEST(c.line() == "still there?");
    c.close();
    BOOST_TEST(server.wait() == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_request_that_does_not_drain_in_time_is_aborted, Server, all)
{
    support::check_lasts(200ms, [] {
        process<Server> server(200ms);
        auto c = conversing(server.address);
        server.signal(SIGTERM);
        BOOST_TEST(c.sees_end());
        BOOST_TEST(server.wait() == 0);
    });
}

using in_one_process = boost::mp11::mp_list<synchronous_tcp_server, threading_tcp_server,
    thread_pool_tcp_server, coroutine_tcp_server>;

BOOST_AUTO_TEST_CASE_TEMPLATE(a_request_that_never_ends_is_named, Server, in_one_process)
{
    process<Server> server(1ms);
    auto c = conversing(server.address);
    c.send("get stuck\n");
    BOOST_TEST(c.line() == "get stuck");
    server.signal(SIGTERM);
    BOOST_TEST(server.wait() == EXIT_FAILURE);
    auto const errors = server.errors();
    BOOST_TEST(errors.find("fatal: the request of 127.0.0.1:") != errors.npos, errors);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_second_signal_aborts, Server, all)
{
    process<Server> server;
    auto c = conversing(server.address);
    // Two that are pending at once are one, if they are the same.
    server.signal(SIGINT);
    server.signal(SIGTERM);
    BOOST_TEST(c.sees_end());
    BOOST_TEST(server.wait() == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_hang_up_drains_what_has_nothing_to_renew, Server, own)
{
    process<Server> server;
    auto c = conversing(server.address);
    server.signal(SIGHUP);
    c.send("still there?\n");
    BOOST_TEST(c.line() == "still there?");
    // A shell tells it once more, which is not to abort.
    server.signal(SIGHUP);
    c.send("even now?\n");
    BOOST_TEST(c.line() == "even now?");
    c.close();
    BOOST_TEST(server.wait() == 0);
}

BOOST_AUTO_TEST_CASE(a_hang_up_that_is_ignored_stays_so)
{
    auto const before = std::signal(SIGHUP, SIG_IGN);
    {
        process<threading_tcp_server> server;
        std::signal(SIGHUP, before);
        auto c = conversing(server.address);
        server.signal(SIGHUP);
        auto other = conversing(server.address);
        server.signal(SIGTERM);
        c.close();
        other.close();
        BOOST_TEST(server.wait() == 0);
    }
}

namespace {

// Has one client, and says goodbye to it.
template <class Server>
class polite : public Server
{
public:
    using Server::Server;

    void finish_request(stream& request, endpoint const& client_address) override
    {
        is_client(&request);
        Server::finish_request(request, client_address);
        is_client(nullptr);
    }

    void server_stopping() override
    {
        {
            std::lock_guard const lock(mutex_);
            if (client_)
                client_->try_send("goodbye\n");
        }
        Server::server_stopping();
    }

private:
    void is_client(stream* client)
    {
        std::lock_guard const lock(mutex_);
        client_ = client;
    }

    std::mutex mutex_;
    stream* client_ = nullptr;
};

using polite_ones = boost::mp11::mp_list<ready<threading_mixin<polite<tcp_server>>>,
    ready<thread_pool_mixin<polite<tcp_server>>>, ready<coroutine_mixin<polite<tcp_server>>>,
    ready<preforking_mixin<threading_mixin<polite<tcp_server>>>>,
    ready<preforking_mixin<coroutine_mixin<polite<tcp_server>>>>>;

} // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(says_goodbye_before_it_drains, Server, polite_ones)
{
    process<Server> server;
    auto c = conversing(server.address);
    server.signal(SIGTERM);
    BOOST_TEST(c.line() == "goodbye");
    c.close();
    BOOST_TEST(server.wait() == 0);
}

namespace {

std::atomic<int> seen{0};

} // namespace

BOOST_AUTO_TEST_CASE(puts_the_handlers_back_and_gives_0)
{
    struct sigaction own
    {
    };
    own.sa_handler = [](int) { ++seen; };
    ::sigaction(SIGTERM, &own, nullptr);
    synchronous_tcp_server server("127.0.0.1:0", [](stream&) { std::raise(SIGTERM); });
    client const c(server.server_address());
    BOOST_TEST(run_until_signal(server) == 0);
    BOOST_TEST(seen == 0);
    std::raise(SIGTERM);
    BOOST_TEST(seen == 1);
}

BOOST_AUTO_TEST_CASE(refuses_a_second_server_in_the_same_process)
{
    std::string what;
    synchronous_tcp_server other("127.0.0.1:0", [](stream&) {});
    synchronous_tcp_server server("127.0.0.1:0", [&](stream&) {
        try
        {
            run_until_signal(other);
        }
        catch (std::logic_error const& e)
        {
            what = e.what();
        }
        std::raise(SIGINT);
    });
    client const c(server.server_address());
    BOOST_TEST(run_until_signal(server) == 0);
    BOOST_TEST(what.starts_with("run_until_signal"));
}
