// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "stop_signal.hpp"

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <cstdint>
#include <new>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

namespace socketserver {

stop_signal::stop_signal()
    : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{
    auto const failed = [](char const* what) {
        throw boost::system::system_error(errno, boost::system::system_category(), what);
    };
    if (descriptor_ < 0)
        failed("eventfd");
    void* const page = ::mmap(nullptr, sizeof(std::atomic<bool>), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
    {
        ::close(descriptor_);
        failed("mmap");
    }
    flag_ = new (page) std::atomic<bool>(false);
}

stop_signal::~stop_signal()
{
    ::munmap(flag_, sizeof(std::atomic<bool>));
    ::close(descriptor_);
}

void stop_signal::set() noexcept
{
    flag_->store(true);
    wake();
}

void stop_signal::wake() noexcept
{
    int const before = errno;
    std::uint64_t const one = 1;
    // It only fails when it is awake already.
    [[maybe_unused]] auto const n = ::write(descriptor_, &one, sizeof one);
    errno = before;
}

void stop_signal::drain() noexcept
{
    std::uint64_t count;
    [[maybe_unused]] auto const n = ::read(descriptor_, &count, sizeof count);
}

} // namespace socketserver
