// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The limits of the command-line server, from outside: each option does what it says.

#define BOOST_TEST_MODULE programs_tool_limits
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "programs/tool.hpp"

#include <socketserver/datagram_client.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <set>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace data = boost::unit_test::data;
using namespace tool;

namespace {

std::string unix_name()
{
    return "unix:@socketserver-test-" + std::to_string(::getpid());
}

void check_ends(program& server)
{
    server.signal(SIGTERM);
    BOOST_TEST(server.exit_status() == 0);
}

// Whether one more connection would have to wait to be accepted.
bool is_queue_full(endpoint const& server)
{
    client const c(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    return ::connect(c.descriptor(), static_cast<sockaddr const*>(server.data()),
               static_cast<socklen_t>(server.size())) < 0 &&
           errno == EAGAIN;
}

// The children of a process, by number.
std::set<pid_t> children_of(pid_t pid)
{
    auto const id = std::to_string(pid);
    std::ifstream file("/proc/" + id + "/task/" + id + "/children");
    std::set<pid_t> result;
    for (pid_t child; file >> child;)
        result.insert(child);
    return result;
}

std::vector<bad_input> const bad_inputs{
    {{"echo", "--max-active", "0"}, 2, "--max-active '0'"},
    {{"echo", "--max-active", "-1"}, 2, "--max-active '-1'"},
    {{"echo", "--max-active", "2147483648"}, 2, "--max-active '2147483648'"},
    {{"echo", "--max-active-per-client", "few"}, 2, "--max-active-per-client 'few'"},
    {{"echo", "--max-active-per-client", ""}, 2, "--max-active-per-client"},
    {{"echo", "--when-full", "panic"}, 2, "--when-full 'panic'"},
    {{"echo", "--deadline", "-1"}, 2, "--deadline"},
    {{"echo", "--deadline", "soon"}, 2, "soon"},
    {{"echo", "--request-queue-size", "1.5"}, 2, "--request-queue-size '1.5'"},
    {{"echo", "--max-packet-size", "0", "--datagrams"}, 2, "--max-packet-size '0'"},
    {{"echo", "--max-packet-size", "100"}, 2, "--max-packet-size: it is for datagrams"},
    {{"echo", "--request-queue-size", "1", "--datagrams"}, 2, "it is for connections"},
    {{"echo", "--timeout", "1", "--datagrams"}, 2, "--timeout: it is for connections"},
    {{"echo", "--deadline", "1", "--datagrams"}, 2, "--deadline: it is for connections"},
    {{"echo", "--max-queue", "1"}, 2, "--max-queue: it is for the strategy thread-pool"},
    {{"echo", "--max-coroutines", "1"}, 2, "--max-coroutines: it is for the strategy coroutine"},
    {{"echo", "--max-coroutines", "0", "--strategy", "coroutine"}, 2, "--max-coroutines '0'"},
    {{"echo", "--max-requests", "1"}, 2, "--max-requests: it is for the strategy preforking"},
};

} // namespace

BOOST_AUTO_TEST_CASE(max_active_has_the_next_one_wait)
{
    echo e("threading", {"--max-active", "1"});
    auto first = in_progress(e.address);
    client second(e.address);
    second.send("here");
    first.send("1");
    BOOST_TEST(first.bytes(1) == "1");
    BOOST_TEST(second.hears_nothing());
    first.end();
    BOOST_TEST(second.bytes(4) == "here");
}

BOOST_AUTO_TEST_CASE(max_active_has_the_next_one_refused)
{
    echo e("preforking:2/threading", {"--max-active", "1", "--when-full", "refuse"});
    auto const first = in_progress(e.address);
    for (int i = 0; i < 4; ++i)
        BOOST_TEST(client(e.address).sees_end());
}

BOOST_AUTO_TEST_CASE(max_active_per_client_has_the_next_one_refused)
{
    echo e("threading", {"--max-active-per-client", "2"});
    auto const first = in_progress(e.address);
    auto const second = in_progress(e.address);
    BOOST_TEST(client(e.address).sees_end());
}

BOOST_AUTO_TEST_CASE(when_full_has_the_loop_run_the_next_one)
{
    echo e("threading:1", {"--when-full", "caller-runs"});
    auto const first = in_progress(e.address);
    auto const second = in_progress(e.address);
}

BOOST_AUTO_TEST_CASE(when_full_says_what_a_strategy_cannot)
{
    program server("socketserver",
        {"echo", "--bind", "127.0.0.1:0", "--strategy", "coroutine", "--when-full", "caller-runs"});
    BOOST_TEST(server.exit_status() == 2);
    auto const errors = server.errors();
    BOOST_TEST(errors.find("socketserver: ") != errors.npos);
    BOOST_TEST(errors.find("possible are") != errors.npos, errors);
}

BOOST_AUTO_TEST_CASE(deadline_hangs_up_on_a_busy_client)
{
    echo e("threading", {"--deadline", "0.1", "--timeout", "10"});
    client busy(e.address);
    auto const until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    bool ended = false;
    try
    {
        while (!ended && std::chrono::steady_clock::now() < until)
        {
            busy.send("x");
            ended = busy.bytes(1).empty();
        }
    }
    catch (std::system_error const& e)
    {
        ended = e.code().value() == ECONNRESET || e.code().value() == EPIPE;
    }
    BOOST_TEST(ended);
}

BOOST_AUTO_TEST_CASE(request_queue_size_bounds_who_waits)
{
    for (auto const& size : {"0", "1"})
    {
        program server("socketserver",
            {"echo", "--bind", unix_name(), "--max-active", "1", "--request-queue-size", size});
        auto const address = server.address();
        auto const first = in_progress(address);
        client const waits(address);
        BOOST_TEST(is_queue_full(address) == (size == std::string("0")));
    }
}

BOOST_AUTO_TEST_CASE(max_packet_size_cuts_what_is_longer)
{
    program server(
        "socketserver", {"echo", "--datagrams", "--bind", "127.0.0.1:0", "--max-packet-size", "4"});
    socketserver::datagram_client c(server.address());
    c.timeout(std::chrono::seconds(20));
    c.send("here and there");
    BOOST_TEST(c.receive() == "here");
    check_ends(server);
}

BOOST_AUTO_TEST_CASE(max_queue_bounds_who_waits_for_a_thread)
{
    echo e("thread-pool:1", {"--max-queue", "0", "--when-full", "refuse"});
    auto const first = in_progress(e.address);
    BOOST_TEST(client(e.address).sees_end());
}

BOOST_AUTO_TEST_CASE(max_coroutines_bounds_how_many_run)
{
    echo e("coroutine", {"--max-coroutines", "1", "--when-full", "refuse"});
    auto const first = in_progress(e.address);
    BOOST_TEST(client(e.address).sees_end());
}

BOOST_AUTO_TEST_CASE(max_requests_replaces_a_worker)
{
    echo e("preforking:1", {"--max-requests", "3"});
    in_progress(e.address);
    auto const first = children_of(e.server.pid());
    BOOST_REQUIRE(first.size() == 1u);
    auto const is_there = [&] { return children_of(e.server.pid()).contains(*first.begin()); };
    in_progress(e.address);
    BOOST_TEST(is_there());
    in_progress(e.address);
    auto const until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (is_there() && std::chrono::steady_clock::now() < until)
        std::this_thread::yield();
    BOOST_TEST(!is_there());
    in_progress(e.address);
    check_ends(e.server);
}

BOOST_DATA_TEST_CASE(refuses_bad_limits_in_one_line, data::make(bad_inputs), bad)
{
    check_refused(bad.arguments, bad.status, bad.named);
}
