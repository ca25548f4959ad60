// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_BLOCKING_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_BLOCKING_HPP

#include <socketserver/stream.hpp>
#include <socketserver/this_request.hpp>

#include <stdexcept>
#include <string>

namespace matrix {

/** Answers each line in brackets, or throws what it says, from a function that may block. */
inline void brackets_by_blocking(socketserver::stream& s)
{
    for (std::string line; s.read_line(line);)
        s.wfile() << socketserver::this_request::blocking([&] {
            if (line == "throw")
                throw std::runtime_error("thrown");
            return '<' + line + '>';
        }) << '\n';
}

} // namespace matrix

#endif
