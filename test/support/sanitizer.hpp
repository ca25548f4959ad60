// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_SANITIZER_HPP
#define SOCKETSERVER_TEST_SUPPORT_SANITIZER_HPP

// SOCKETSERVER_TEST_ASAN and SOCKETSERVER_TEST_TSAN: which sanitizer the tests are built with.
#if defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define SOCKETSERVER_TEST_ASAN
#    elif __has_feature(thread_sanitizer)
#        define SOCKETSERVER_TEST_TSAN
#    endif
#elif defined(__SANITIZE_ADDRESS__)
#    define SOCKETSERVER_TEST_ASAN
#elif defined(__SANITIZE_THREAD__)
#    define SOCKETSERVER_TEST_TSAN
#endif

namespace support {

/** How many times as long as without one anything may take. */
#if defined(SOCKETSERVER_TEST_ASAN) || defined(SOCKETSERVER_TEST_TSAN)
inline constexpr int slowness = 4;
#else
inline constexpr int slowness = 1;
#endif

} // namespace support

#endif
