// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_PROGRAMS_EXAMPLES_HPP
#define SOCKETSERVER_TEST_PROGRAMS_EXAMPLES_HPP

#include <socketserver/endpoint.hpp>

#include <boost/test/unit_test.hpp>

#include "support/program.hpp"

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

namespace examples {

using words = std::vector<std::string>;

inline words operator+(words one, words const& other)
{
    one.insert(one.end(), other.begin(), other.end());
    return one;
}

// An example that is a server, and where it listens.
struct served
{
    explicit served(std::string const& name, words const& more = {})
        : server(name, words{"--bind", "127.0.0.1:0"} + more)
    {
    }

    // Tells it to stop, when it has had no reason to complain unless told so.
    void check_ends(std::string const& complaint = {})
    {
        server.signal(SIGTERM);
        BOOST_TEST(server.exit_status() == 0);
        BOOST_TEST(server.output() == "");
        auto const errors = server.errors();
        BOOST_TEST_CONTEXT(errors)
        {
            auto const at = errors.find(" error: ");
            BOOST_TEST((at == errors.npos) == complaint.empty());
            BOOST_TEST((complaint.empty() || errors.find(complaint, at) != errors.npos));
        }
    }

    support::program server;
    socketserver::endpoint address = server.address();
};

inline bool is_one_line_of(std::string const& name, std::string const& text)
{
    return text.starts_with(name + ": ") && text.ends_with('\n') &&
           std::count(text.begin(), text.end(), '\n') == 1;
}

// It does not begin, and says in one line why.
inline void check_refused(std::string const& name, words const& arguments, std::string const& named)
{
    support::program p(name, arguments);
    auto const errors = p.errors();
    BOOST_TEST_CONTEXT(errors)
    {
        BOOST_TEST(is_one_line_of(name, errors));
        BOOST_TEST(errors.find(named) != errors.npos);
        BOOST_TEST(p.output() == "");
        BOOST_TEST(p.exit_status() == 1);
    }
}

} // namespace examples

#endif
