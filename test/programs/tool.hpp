// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_PROGRAMS_TOOL_HPP
#define SOCKETSERVER_TEST_PROGRAMS_TOOL_HPP

#include <socketserver/endpoint.hpp>

#include <boost/test/unit_test.hpp>

#include "support/client.hpp"
#include "support/program.hpp"

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

namespace tool {

using socketserver::endpoint;
using support::client;
using support::program;

using words = std::vector<std::string>;

// The server, and where it listens.
struct echo
{
    explicit echo(std::string const& strategy, words const& more = {})
        : server("socketserver", with(strategy, more))
    {
    }

    static words with(std::string const& strategy, words const& more)
    {
        words line{"echo", "--bind", "127.0.0.1:0", "--strategy", strategy};
        line.insert(line.end(), more.begin(), more.end());
        return line;
    }

    program server;
    endpoint address = server.address();
};

// A client whose bytes came back, so that its request is in progress.
inline client in_progress(endpoint const& server)
{
    client c(server);
    c.send("here");
    BOOST_REQUIRE(c.bytes(4) == "here");
    return c;
}

// What makes no sense or cannot be done, and what the only line about it names.
struct bad_input
{
    words arguments;
    int status;
    std::string named;

    friend std::ostream& operator<<(std::ostream& to, bad_input const& b)
    {
        for (auto const& a : b.arguments)
            to << a << ' ';
        return to;
    }
};

inline void check_refused(words const& arguments, int status, std::string const& named)
{
    program tool("socketserver", arguments);
    auto const errors = tool.errors();
    BOOST_TEST_CONTEXT(errors)
    {
        BOOST_TEST(tool.exit_status() == status);
        BOOST_TEST(tool.output() == "");
        BOOST_TEST(errors.starts_with("socketserver: "));
        BOOST_TEST(errors.find(named) != errors.npos);
        BOOST_TEST(std::count(errors.begin(), errors.end(), '\n') == 1);
        // Where in a library's sources it was noticed is of no use to anyone here.
        BOOST_TEST(errors.find(".hpp") == errors.npos);
    }
}

} // namespace tool

#endif
