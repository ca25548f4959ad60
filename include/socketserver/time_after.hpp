// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TIME_AFTER_HPP
#define SOCKETSERVER_TIME_AFTER_HPP

#include <chrono>

namespace socketserver {

/** Return when something that begins now and may take so long must have ended.

    @param limit How long it may take; of any size, `std::chrono::nanoseconds::max()` included.
    @return The time; the end of time where no clock reaches it.
*/
inline std::chrono::steady_clock::time_point time_after(std::chrono::nanoseconds limit) noexcept
{
    using clock = std::chrono::steady_clock;
    auto const now = clock::now();
    return limit < clock::time_point::max() - now
               ? now + std::chrono::duration_cast<clock::duration>(limit)
               : clock::time_point::max();
}

} // namespace socketserver

#endif
