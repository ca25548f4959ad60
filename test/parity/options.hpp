// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_PARITY_OPTIONS_HPP
#define SOCKETSERVER_TEST_PARITY_OPTIONS_HPP

#include <socketserver/endpoint.hpp>

#include <boost/program_options/variables_map.hpp>

#include <chrono>
#include <optional>
#include <string>

// The command line: what is asked for.
namespace parity {

extern boost::program_options::variables_map given;

// Says what is wrong with a bad one, and leaves.
void read_command_line(int argc, char** argv);

// An option, if it was given.
template <class T>
std::optional<T> option(char const* name)
{
    if (given.count(name) == 0)
        return {};
    return given[name].as<T>();
}

// An option that is there or not.
bool flag(char const* name);

// An option that has a word, given or not.
std::string const& word(char const* name);

// Throws if this step is to fail.
void fail_if_asked(char const* point);

// Whether this step is to fail.
bool is_injected(char const* point);

// As the library calls --strategy.
char const* strategy_text();

// --host and --port, or --path.
socketserver::endpoint address();

std::chrono::nanoseconds seconds(double s);

} // namespace parity

#endif
