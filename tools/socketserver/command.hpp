// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TOOLS_SOCKETSERVER_COMMAND_HPP
#define SOCKETSERVER_TOOLS_SOCKETSERVER_COMMAND_HPP

#include <string>
#include <vector>

/** What the words after a command's name say. */
using arguments = std::vector<std::string>;

/** A command of the program: `socketserver NAME [OPTION...]`. */
struct command
{
    /** What it is called. */
    char const* name;

    /** What it does, in a few words. */
    char const* summary;

    /** Does it.

        @return The exit status.
        @throws std::invalid_argument, boost::program_options::error What was asked for makes no
        sense.
        @throws ... Something else went wrong.
    */
    int (*run)(arguments const&);
};

/** `socketserver echo`: a server that sends back what comes (RFC 862). */
int echo(arguments const& given);

#endif
