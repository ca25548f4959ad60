// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Part of every test program with AddressSanitizer, whose allocator of gcc 12 and clang 14 does not
// survive a fork beside a thread that allocates: the lock that the thread holds stays locked in the
// child.  So a fork takes these locks first, as glibc does it with its own allocator's.

#include <pthread.h>

// What the sanitizer itself takes when it looks for leaks, in this order.
namespace __lsan {

void LockThreadRegistry();
void UnlockThreadRegistry();
void LockAllocator();
void UnlockAllocator();

} // namespace __lsan

namespace __sanitizer {

void StackDepotLockAll();
void StackDepotUnlockAll();

} // namespace __sanitizer

namespace {

void lock()
{
    __lsan::LockThreadRegistry();
    __lsan::LockAllocator();
    __sanitizer::StackDepotLockAll();
}

void unlock()
{
    __sanitizer::StackDepotUnlockAll();
    __lsan::UnlockAllocator();
    __lsan::UnlockThreadRegistry();
}

// Who registers first is prepared last, and goes on first: others may allocate.
[[gnu::constructor(101)]] void watch_forks()
{
    ::pthread_atfork(lock, unlock, unlock);
}

} // namespace
