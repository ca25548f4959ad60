// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The examples, from outside: echo, the menu, HTTP, and the command line of all.

#define BOOST_TEST_MODULE programs_examples
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "programs/examples.hpp"
#include "support/client.hpp"
#include "support/connected.hpp"
#include "support/program.hpp"

#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace data = boost::unit_test::data;
using namespace examples;
using support::client;
using support::program;

namespace {

auto const strategies = data::make(words{"synchronous", "threading", "thread-pool", "forking",
    "coroutine", "preforking", "preforking:2/threading", "preforking:2/coroutine"});
auto const concurrent = data::make(words{"threading", "thread-pool", "forking", "coroutine",
    "preforking:2", "preforking:2/threading", "preforking:2/coroutine"});
auto const servers = data::make(words{"access_control", "chat_server", "echo_server",
    "http_server_beast", "many_servers", "menu_server"});

// Asks curl, and gives what it prints.
std::string curl(std::string const& arguments)
{
    auto const command = "curl --silent --show-error --noproxy '*' --max-time 20 " + arguments;
    auto* const pipe = ::popen(command.c_str(), "r");
    if (!pipe)
        throw std::runtime_error("popen");
    std::string all;
    for (int c; (c = std::fgetc(pipe)) != EOF;)
        all += static_cast<char>(c);
    BOOST_TEST(::pclose(pipe) == 0);
    return all;
}

} // namespace

BOOST_AUTO_TEST_SUITE(echo)

BOOST_DATA_TEST_CASE(answers_the_client, strategies, strategy)
{
    served s("echo_server", {"--strategy", strategy});
    program said("echo_client", {s.address.str(), "hello", "", "two words"});
    BOOST_TEST(said.output() == "hello\n\ntwo words\n");
    BOOST_TEST(said.exit_status() == 0);
    program read("echo_client", {s.address.str()}, "from\nstandard input");
    BOOST_TEST(read.output() == "from\nstandard input\n");
    BOOST_TEST(read.exit_status() == 0);
    s.check_ends();
}

BOOST_DATA_TEST_CASE(drains_a_client_in_progress, strategies, strategy)
{
    served s("echo_server", {"--strategy", strategy});
    client c(s.address);
    c.send("before");
    BOOST_TEST(c.bytes(6) == "before");
    s.server.signal(SIGTERM);
    c.send("after");
    BOOST_TEST(c.bytes(5) == "after");
    c.end();
    BOOST_TEST(c.all() == "");
    BOOST_TEST(s.server.exit_status() == 0);
}

BOOST_AUTO_TEST_CASE(the_client_says_what_is_wrong)
{
    std::string nobody;
    {
        support::listener const gone;
        nobody = gone.address().str();
    }
    check_refused("echo_client", {nobody, "hello"}, nobody);
    check_refused("echo_client", {"nonsense", "hello"}, "nonsense");

    support::listener deaf;
    program interrupted("echo_client", {deaf.address().str(), "hello"});
    deaf.accept().end();
    BOOST_TEST(is_one_line_of("echo_client", interrupted.errors()));
    BOOST_TEST(interrupted.exit_status() == 1);

    program lost("echo_client");
    BOOST_TEST(lost.errors().starts_with("usage: echo_client "));
    BOOST_TEST(lost.exit_status() == 1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(menu)

BOOST_DATA_TEST_CASE(talks_to_two_callers_at_once, concurrent, strategy)
{
    served s("menu_server", {"--strategy", strategy});
    client one(s.address);
    client two(s.address);
    // Both are greeted before either has said a word.
    BOOST_TEST(one.line().starts_with("Welcome"));
    BOOST_TEST(two.line().starts_with("Welcome"));
    one.send("1\n");
    BOOST_TEST(one.line() == "We are open from 9 to 17.");
    two.send("2\r\n");
    auto const who = two.line();
    bool const same = who.starts_with("Process " + std::to_string(s.server.pid()) + " ");
    BOOST_TEST(same == (strategy.find("fork") == strategy.npos));
    one.send("3\n7\n3\n");
    BOOST_TEST(one.line() == "You have chosen 1 times before.");
    BOOST_TEST(one.line() == "Please choose 1, 2, 3 or exit.");
    BOOST_TEST(one.line() == "You have chosen 3 times before.");
    two.send("3\n");
    BOOST_TEST(two.line() == "You have chosen 1 times before.");
    one.send("exit\n");
    BOOST_TEST(one.all() == "Goodbye.\n");
    s.server.signal(SIGTERM);
    two.send("1\nexit\n");
    BOOST_TEST(two.all() == "We are open from 9 to 17.\nGoodbye.\n");
    BOOST_TEST(s.server.exit_status() == 0);
}

BOOST_AUTO_TEST_CASE(hangs_up_on_a_caller_who_does_not_stop_talking)
{
    served s("menu_server");
    client c(s.address);
    c.send(std::string(200, '1'));
    BOOST_TEST(c.line().starts_with("Welcome"));
    BOOST_TEST(c.sees_end());
    s.check_ends("Message too long");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(http)

BOOST_DATA_TEST_CASE(answers_curl, strategies, strategy)
{
    served s("http_server_beast", {"--strategy", strategy});
    auto const url = "http://" + s.address.str();
    // The second transfer makes no connection of its own.
    BOOST_TEST(curl("--write-out '%{http_code} %{num_connects}\\n' " + url + "/a " + url + "/b") ==
               "hello, you asked for /a\n200 1\nhello, you asked for /b\n200 0\n");
    BOOST_TEST(curl("--data something " + url) == "hello, you asked for /\n");
    BOOST_TEST(curl("--http1.0 " + url) == "hello, you asked for /\n");
    s.check_ends();
}

BOOST_AUTO_TEST_CASE(closes_when_the_client_asks_for_it)
{
    served s("http_server_beast");
    client c(s.address);
    c.send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    auto const answer = c.all();
    BOOST_TEST(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    BOOST_TEST(answer.ends_with("\r\n\r\nhello, you asked for /\n"));
    s.check_ends();
}

BOOST_AUTO_TEST_CASE(answers_head_without_a_body)
{
    served s("http_server_beast");
    client c(s.address);
    c.send("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
    auto const answer = c.all();
    BOOST_TEST(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    BOOST_TEST(answer.find("Content-Length: 23\r\n") != answer.npos);
    BOOST_TEST(answer.ends_with("\r\n\r\n"));
    s.check_ends();
}

BOOST_AUTO_TEST_CASE(survives_what_is_not_http)
{
    served s("http_server_beast");
    client c(s.address);
    c.send("what?\r\n\r\n");
    BOOST_TEST(c.all() == "");
    BOOST_TEST(curl("http://" + s.address.str()) == "hello, you asked for /\n");
    s.check_ends("127.0.0.1:");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(command_line)

BOOST_DATA_TEST_CASE(names_what_is_wrong, servers, server)
{
    support::listener const other;
    auto const taken = other.address().str();
    check_refused(server, {"--bind", taken}, taken);
    check_refused(server, {"--bind", "nonsense"}, "nonsense");
    check_refused(server, {"--strategy", "fibers"}, "fibers");
    check_refused(server, {"--strategy"}, "--strategy");
    check_refused(server, {"--port", "8009"}, "--port");
    check_refused(server, {"8009"}, "positional");
}

BOOST_AUTO_TEST_SUITE_END()
