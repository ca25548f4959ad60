// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_SANITIZERS_HPP
#define SOCKETSERVER_SRC_STRATEGY_SANITIZERS_HPP

// AddressSanitizer, ThreadSanitizer and valgrind follow the stack of a thread; they are told where
// it changes.  Without them, all of this is nothing.

#include <cstddef>

#if defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define SOCKETSERVER_ASAN
#    endif
#    if __has_feature(thread_sanitizer)
#        define SOCKETSERVER_TSAN
#    endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(SOCKETSERVER_ASAN)
#    define SOCKETSERVER_ASAN
#endif
#if defined(__SANITIZE_THREAD__) && !defined(SOCKETSERVER_TSAN)
#    define SOCKETSERVER_TSAN
#endif

#if defined(SOCKETSERVER_ASAN)
#    include <sanitizer/asan_interface.h>
#    include <sanitizer/common_interface_defs.h>
#endif
#if defined(SOCKETSERVER_TSAN)
#    include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#    include <valgrind/valgrind.h>
#endif

namespace socketserver::sanitizers {

inline unsigned register_stack([[maybe_unused]] void* bottom, [[maybe_unused]] void* top) noexcept
{
#if defined(VALGRIND_STACK_REGISTER)
    return static_cast<unsigned>(VALGRIND_STACK_REGISTER(bottom, top));
#else
    return 0;
#endif
}

inline void deregister_stack([[maybe_unused]] unsigned id) noexcept
{
#if defined(VALGRIND_STACK_DEREGISTER)
    VALGRIND_STACK_DEREGISTER(id);
#endif
}

// What lay on a stack is gone.
inline void forget([[maybe_unused]] void* bottom, [[maybe_unused]] std::size_t size) noexcept
{
#if defined(SOCKETSERVER_ASAN)
    __asan_unpoison_memory_region(bottom, size);
#endif
}

// A second thread of control, as ThreadSanitizer sees it.
inline void* make_fiber() noexcept
{
#if defined(SOCKETSERVER_TSAN)
    return __tsan_create_fiber(0);
#else
    return nullptr;
#endif
}

inline void unmake_fiber([[maybe_unused]] void* fiber) noexcept
{
#if defined(SOCKETSERVER_TSAN)
    __tsan_destroy_fiber(fiber);
#endif
}

inline void* this_fiber() noexcept
{
#if defined(SOCKETSERVER_TSAN)
    return __tsan_get_current_fiber();
#else
    return nullptr;
#endif
}

// All of the following are inlined always: ThreadSanitizer counts the calls of a function on the side
// where it begins and its return where it ends.
#define SOCKETSERVER_INLINED [[gnu::always_inline]] inline

// From now on, what happens is another's.
SOCKETSERVER_INLINED void follow([[maybe_unused]] void* fiber) noexcept
{
#if defined(SOCKETSERVER_TSAN)
    __tsan_switch_to_fiber(fiber, 0);
#endif
}

// Just before the switch.  `fake` keeps what AddressSanitizer has of the stack that is left; null
// when it will not be returned to.
SOCKETSERVER_INLINED void before_switch([[maybe_unused]] void** fake,
    [[maybe_unused]] void const* bottom, [[maybe_unused]] std::size_t size,
    [[maybe_unused]] void* fiber) noexcept
{
#if defined(SOCKETSERVER_ASAN)
    __sanitizer_start_switch_fiber(fake, bottom, size);
#endif
    follow(fiber);
}

// Just after it, on the other side; tells what was left.
SOCKETSERVER_INLINED void after_switch([[maybe_unused]] void* fake,
    [[maybe_unused]] void const** left_bottom, [[maybe_unused]] std::size_t* left_size) noexcept
{
#if defined(SOCKETSERVER_ASAN)
    __sanitizer_finish_switch_fiber(fake, left_bottom, left_size);
#endif
}

#undef SOCKETSERVER_INLINED

} // namespace socketserver::sanitizers

#endif
