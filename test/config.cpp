// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/config.hpp>

#define BOOST_TEST_MODULE config
#include <boost/test/unit_test.hpp>

#include <string>

BOOST_AUTO_TEST_CASE(the_version_is_the_same_as_number_and_as_text)
{
    auto const part = [](int n) { return std::to_string(n % 100); };
    std::string const text = part(SOCKETSERVER_VERSION / 10000) + '.' +
                             part(SOCKETSERVER_VERSION / 100) + '.' + part(SOCKETSERVER_VERSION);
    BOOST_TEST(text == SOCKETSERVER_VERSION_TEXT);
}
