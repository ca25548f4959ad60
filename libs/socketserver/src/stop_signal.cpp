// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "stop_signal.hpp"

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

namespace socketserver {

stop_signal::stop_signal(std::atomic<bool>& flag)
    : flag_(flag)
    , descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{
    if (descriptor_ < 0)
        throw boost::system::system_error(errno, boost::system::system_category(), "eventfd");
}

stop_signal::~stop_signal()
{
    ::close(descriptor_);
}

void stop_signal::set() noexcept
{
    flag_.store(true);
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
