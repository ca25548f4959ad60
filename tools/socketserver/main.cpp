// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The command-line server: finds the command, and tells how it went by the exit status.

#include "command.hpp"

#include <socketserver/config.hpp>

#include <boost/program_options/errors.hpp>
#include <boost/version.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>

namespace {

constexpr command commands[] = {
    {"echo", "send back what comes", echo},
};

void print_help()
{
    std::cout << "usage: socketserver COMMAND [OPTION...]\n\nCommands:\n";
    for (auto const& c : commands)
        std::cout << "  " << c.name << "    " << c.summary << '\n';
    std::cout
        << "\nOptions:\n"
           "  --help     this text; after a command, the options of that command\n"
           "  --version  the version\n"
           "\nExit status: 0 when told to stop, 1 when something went wrong, 2 when what was\n"
           "asked for makes no sense.\n";
}

int run(arguments given)
{
    if (given.empty())
        throw std::invalid_argument("no command given; see socketserver --help");
    std::string const name = given.front();
    given.erase(given.begin());
    if (name == "--help" || name == "-h")
    {
        print_help();
        return EXIT_SUCCESS;
    }
    if (name == "--version")
    {
        std::cout << "socketserver " SOCKETSERVER_VERSION_TEXT ", Boost " << BOOST_VERSION / 100000
                  << '.' << BOOST_VERSION / 100 % 1000 << '\n';
        return EXIT_SUCCESS;
    }
    for (auto const& c : commands)
        if (name == c.name)
            return c.run(given);
    throw std::invalid_argument("there is no command '" + name + "'; see socketserver --help");
}

} // namespace

int main(int argc, char* argv[])
{
    int status = EXIT_FAILURE;
    std::string error;
    try
    {
        auto const words = std::span(argv, argc).subspan(argc > 0 ? 1 : 0);
        return run({words.begin(), words.end()});
    }
    catch (boost::program_options::error const& e)
    {
        status = 2;
        error = e.what();
    }
    catch (std::invalid_argument const& e)
    {
        status = 2;
        error = e.what();
    }
    catch (std::exception const& e)
    {
        error = e.what();
    }
    std::cerr << "socketserver: " << error << '\n';
    return status;
}
