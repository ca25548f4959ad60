// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_MEMORY_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_MEMORY_HPP

#include "sanitizer.hpp"

#include <cstddef>
#include <fstream>
#include <limits>

#if defined(SOCKETSERVER_TEST_ASAN) || defined(SOCKETSERVER_TEST_TSAN)
// As in a header that gcc does not have.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#else
#    include <malloc.h>
#endif

namespace matrix {

/** How many bytes are allocated and not freed. */
inline std::size_t allocated_bytes()
{
#if defined(SOCKETSERVER_TEST_ASAN) || defined(SOCKETSERVER_TEST_TSAN)
    return __sanitizer_get_current_allocated_bytes();
#else
    return ::mallinfo2().uordblks;
#endif
}

/** How many mappings of memory this process has; a stack of its own is two. */
inline std::size_t mappings_of_this_process()
{
    std::ifstream maps("/proc/self/maps");
    std::size_t n = 0;
    while (maps.ignore(std::numeric_limits<std::streamsize>::max(), '\n'))
        ++n;
    return n;
}

} // namespace matrix

#endif
