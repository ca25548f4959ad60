// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_LASTS_HPP
#define SOCKETSERVER_TEST_SUPPORT_LASTS_HPP

#include "sanitizer.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>

namespace support {

using namespace std::chrono_literals;

// Calls something that a time limit ends, and checks that it took what was asked for: within 10 %
// or 20 ms, more with a sanitizer.  A busy machine may be later, so it is tried some times; too early
// is always wrong.
template <class F>
void check_lasts(std::chrono::nanoseconds asked, F const& f)
{
    using clock = std::chrono::steady_clock;
    auto const tolerance = std::max<std::chrono::nanoseconds>(asked / 10, 20ms) * slowness;
    auto took = clock::duration::max();
    for (int tries = 0; tries < 10 && took > asked + tolerance; ++tries)
    {
        auto const begin = clock::now();
        f();
        took = clock::now() - begin;
        BOOST_TEST(took.count() >= (asked - tolerance).count());
    }
    BOOST_TEST(took.count() <= (asked + tolerance).count());
}

} // namespace support

#endif
