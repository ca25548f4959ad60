// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_PARITY_REPORT_HPP
#define SOCKETSERVER_TEST_PARITY_REPORT_HPP

#include "options.hpp"

#include <socketserver/endpoint.hpp>

#include <exception>
#include <sstream>
#include <string>
#include <string_view>

// What the probe says, in Python's words.
namespace parity {

// Writes a line by one write(2): never mixed with another thread's or process's, never held back.
void write_line(std::string line);

template <class... Words>
void report(Words const&... words)
{
    std::ostringstream line;
    char const* separator = "";
    ((line << separator << words, separator = " "), ...);
    write_line(line.str());
}

template <class... Words>
void trace(Words const&... words)
{
    if (flag("trace"))
        report("T", words...);
}

// What Python's SystemExit is: not one of the exceptions that are errors.
struct system_exit
{
    int status;
};

// Python's word for an exception, and its errno.
struct python_error
{
    std::string type;
    std::string number = "None";
};

python_error in_python(std::exception_ptr error);

// As Python gives an address to print.
std::string in_words(socketserver::endpoint const& address);

// Python reads a text as Latin-1 and writes it as UTF-8.
std::string utf8(std::string_view latin1);

} // namespace parity

#endif
