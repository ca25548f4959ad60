// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The product of strategies at its hardest: coroutines in worker processes, with a handler that
// waits inside its catch block.  Everything here runs under valgrind as well.

#include <socketserver.hpp>

#define BOOST_TEST_MODULE preforked_coroutines
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <istream>
#include <ostream>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace socketserver;
using namespace std::chrono_literals;

namespace {

using server_type = ready<preforking_mixin<coroutine_mixin<tcp_server>>>;

// Each line is a verb, and what it works on.
class talker : public stream_request_handler
{
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line);)
        {
            if (line == "pid")
                wfile() << ::getpid() << '\n';
            else if (line == "hold on")
                hold_on();
            else
                fail(line);
        }
    }

    // Waits where two exceptions are being handled, and tells which it has then.
    void fail(std::string const& what)
    {
        try
        {
            throw std::runtime_error(what);
        }
        catch (std::exception const& outer)
        {
            try
            {
                throw std::logic_error("not " + what);
            }
            catch (std::logic_error const& inner)
            {
                wfile() << "caught\n";
                std::string next;
                std::getline(rfile(), next);
                wfile() << inner.what() << '\n';
            }
            try
            {
                throw;
            }
            catch (std::exception const& again)
            {
                wfile() << outer.what() << " is " << again.what() << '\n';
            }
        }
    }

    // Does not want to hear of any error.
    void hold_on()
    {
        wfile() << "holding on\n" << std::flush;
        for (;;)
        {
            try
            {
                char c;
                request().read_some(boost::asio::buffer(&c, 1));
            }
            catch (...)
            {
                if (request().native_handle() < 0)
                    return;
            }
        }
    }
};

// A process that serves until it is told to stop; its end is that of the test at the latest.
class server_process
{
public:
    explicit server_process(std::size_t workers, std::chrono::milliseconds drain = 20s)
    {
        int ends[2];
        BOOST_TEST_REQUIRE(::pipe(ends) == 0);
        pid_ = ::fork();
        if (pid_ == 0)
            serve(ends[1], workers, drain);
        ::close(ends[1]);
        unsigned short port = 0;
        BOOST_TEST_REQUIRE(::read(ends[0], &port, sizeof port) == sizeof port);
        ::close(ends[0]);
        address_ = endpoint("127.0.0.1:0").with_port(port);
    }

    ~server_process()
    {
        if (pid_ > 0)
        {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }

    endpoint const& address() const { return address_; }

    // Gives the exit status, or minus the signal.
    int end_by(int signal)
    {
        ::kill(pid_, signal);
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

    void signal(int number) const { ::kill(pid_, number); }

private:
    [[noreturn]] static void serve(
        int ready_end, std::size_t workers, std::chrono::milliseconds drain)
    {
        int status = EXIT_FAILURE;
        try
        {
            log_to_stderr(log_severity::error);
            server_type server(defer_activation, "127.0.0.1:0", handler<talker>);
            server.workers = workers;
            server.drain_timeout = drain;
            server.abort_timeout = 300ms;
            server.activate();
            auto const port = server.server_address().port();
            if (::write(ready_end, &port, sizeof port) == sizeof port)
                status = run_until_signal(server);
        }
        catch (std::exception const& e)
        {
            log(log_severity::error, e.what());
        }
        ::_exit(status);
    }

    pid_t pid_;
    endpoint address_;
};

class client
{
public:
    explicit client(endpoint const& server)
        : stream_(connect(server, 20s))
    {
        stream_.timeout(20s);
    }

    client& say(std::string const& line)
    {
        stream_.send_all(line + '\n');
        return *this;
    }

    // The next line, or how it ended instead.
    std::string hear()
    {
        std::string line;
        try
        {
            return stream_.read_line(line) ? line : "(end)";
        }
        catch (boost::system::system_error const&)
        {
            return "(reset)";
        }
    }

    pid_t worker() { return std::stoi(say("pid").hear()); }

    void shutdown_send() { stream_.shutdown_send(); }

private:
    stream stream_;
};

} // namespace

BOOST_AUTO_TEST_CASE(coroutines_that_wait_in_a_catch_block_keep_their_own_exceptions)
{
    server_process server(1);
    client a(server.address());
    client b(server.address());
    BOOST_TEST(a.say("first").hear() == "caught");
    BOOST_TEST(b.say("second").hear() == "caught");
    BOOST_TEST(a.say("go on").hear() == "not first");
    BOOST_TEST(b.say("go on").hear() == "not second");
    BOOST_TEST(a.hear() == "first is first");
    BOOST_TEST(b.hear() == "second is second");
}

BOOST_AUTO_TEST_CASE(drains_a_request_that_waits_in_its_catch_block)
{
    server_process server(2);
    client a(server.address());
    BOOST_TEST(a.say("first").hear() == "caught");
    server.signal(SIGTERM);
    BOOST_TEST(a.say("go on").hear() == "not first");
    BOOST_TEST(a.hear() == "first is first");
    a.shutdown_send();
    BOOST_TEST(a.hear() == "(end)");
    BOOST_TEST(server.end_by(0) == 0);
}

BOOST_AUTO_TEST_CASE(aborts_what_does_not_drain_in_time)
{
    server_process server(2, 100ms);
    client a(server.address());
    BOOST_TEST(a.say("first").hear() == "caught");
    BOOST_TEST(server.end_by(SIGTERM) == 0);
    BOOST_TEST(a.hear() != "not first");
}

BOOST_AUTO_TEST_CASE(a_second_signal_aborts)
{
    server_process server(2);
    client a(server.address());
    BOOST_TEST(a.say("first").hear() == "caught");
    server.signal(SIGINT);
    // What still comes in is refused when the listener is closed: the drain is under way.
    for (boost::system::error_code ec; !ec;)
        connect(server.address(), 20s, ec);
    BOOST_TEST(server.end_by(SIGINT) == 0);
}

BOOST_AUTO_TEST_CASE(a_killed_worker_is_replaced)
{
    server_process server(1);
    client a(server.address());
    client b(server.address());
    auto const worker = a.worker();
    BOOST_TEST(b.worker() == worker);
    ::kill(worker, SIGKILL);
    BOOST_TEST(a.hear() != "caught");
    client c(server.address());
    auto const next = c.worker();
    BOOST_TEST(next > 0);
    BOOST_TEST(next != worker);
    c.shutdown_send();
    BOOST_TEST(c.hear() == "(end)");
    BOOST_TEST(server.end_by(SIGTERM) == 0);
}

BOOST_AUTO_TEST_CASE(workers_drain_and_go_when_their_parent_is_killed)
{
    // They become this process's children then.
    BOOST_TEST_REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    server_process server(2);
    client a(server.address());
    auto const worker = a.worker();
    BOOST_TEST(a.say("first").hear() == "caught");
    BOOST_TEST(server.end_by(SIGKILL) == -SIGKILL);
    BOOST_TEST(a.say("go on").hear() == "not first");
    a.shutdown_send();

    // All that there are: it may have been killed before it had made the second.
    std::vector<pid_t> gone;
    int status;
    for (pid_t pid; (pid = ::wait(&status)) > 0;)
    {
        BOOST_TEST(WIFEXITED(status));
        BOOST_TEST(WEXITSTATUS(status) == 0);
        gone.push_back(pid);
    }
    BOOST_TEST(std::count(gone.begin(), gone.end(), worker) == 1);
}

BOOST_AUTO_TEST_CASE(a_handler_that_catches_everything_does_not_outlive_the_process)
{
    // Its worker cannot end by itself, and says so; what counts is that everything is over.
    server_process server(1, 100ms);
    client a(server.address());
    BOOST_TEST(a.say("hold on").hear() == "holding on");
    server.signal(SIGTERM);
    BOOST_TEST(a.hear() != "caught");
    BOOST_TEST(server.end_by(SIGTERM) == 0);
}
