// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_NAMES_HPP
#define SOCKETSERVER_TEST_SUPPORT_NAMES_HPP

#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include <exception>
#include <string>
#include <utility>

namespace support {

// For BOOST_CHECK_EXCEPTION: whether what an exception says has this in it.
inline auto names(std::string text)
{
    return [text = std::move(text)](std::exception const& e) {
        std::string const said = e.what();
        bool const has_it = said.find(text) != said.npos;
        BOOST_TEST(has_it, "'" << said << "' does not name '" << text << "'");
        return has_it;
    };
}

// And whether it is this error.
template <class Code>
auto names(std::string text, Code code)
{
    return [text = std::move(text), code](boost::system::system_error const& e) {
        BOOST_TEST(e.code() == code);
        return names(text)(e);
    };
}

} // namespace support

#endif
