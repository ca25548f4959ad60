// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_CONFIG_HPP
#define SOCKETSERVER_CONFIG_HPP

#include <boost/config.hpp>

/** The version: ten thousands for major, hundreds for minor, and the patch. */
#define SOCKETSERVER_VERSION 100

/** The version as text. */
#define SOCKETSERVER_VERSION_TEXT "0.1.0"

/** Marks what the compiled library exports.

    A program that links the shared library defines `SOCKETSERVER_DYN_LINK`; the build of the
    library itself defines `SOCKETSERVER_SOURCE` too. With the static library neither is needed.
    The build files and the installed package define them, so that a program's author does not.
*/
#if defined(SOCKETSERVER_DYN_LINK)
#    if defined(SOCKETSERVER_SOURCE)
#        define SOCKETSERVER_DECL BOOST_SYMBOL_EXPORT
#    else
#        define SOCKETSERVER_DECL BOOST_SYMBOL_IMPORT
#    endif
#else
#    define SOCKETSERVER_DECL
#endif

#endif
