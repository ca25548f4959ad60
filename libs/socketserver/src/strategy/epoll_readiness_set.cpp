// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifdef __linux__

#    include "epoll_readiness_set.hpp"

#    include <boost/system/system_error.hpp>

#    include <algorithm>
#    include <cerrno>
#    include <new>
#    include <sys/epoll.h>
#    include <sys/eventfd.h>
#    include <unistd.h>
#    include <utility>

namespace socketserver {

namespace {

// The event of the descriptor that ends a wait.
constexpr readiness_slots::name is_wake = ~readiness_slots::name{0};

[[noreturn]] void failed(char const* what)
{
    throw boost::system::system_error(errno, boost::system::system_category(), what);
}

int milliseconds_until(epoll_readiness_set::clock::time_point until) noexcept
{
    using clock = epoll_readiness_set::clock;
    using std::chrono::milliseconds;
    if (until == clock::time_point::min())
        return 0;
    if (until == clock::time_point::max())
        return -1;
    // Rounded up: a wait that ends early would be a turn for nothing.
    auto const now = clock::now();
    auto const left = until > now ? std::chrono::ceil<milliseconds>(until - now).count() : 0;
    return static_cast<int>(std::min<long>(left, 1'000'000'000));
}

} // namespace

epoll_readiness_set::~epoll_readiness_set()
{
    leave();
}

void epoll_readiness_set::leave() noexcept
{
    for (int* const descriptor : {&set_, &wake_})
        if (int const fd = std::exchange(*descriptor, -1); fd >= 0)
            ::close(fd);
}

void epoll_readiness_set::open()
{
    if (set_ < 0 && (set_ = ::epoll_create1(EPOLL_CLOEXEC)) < 0)
        failed("epoll_create1");
}

void epoll_readiness_set::allow_wake()
{
    if (wake_ >= 0)
        return;
    open();
    int const descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0)
        failed("eventfd");
    // With its edges alone, every write is an event and nobody has to read.
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = is_wake;
    if (::epoll_ctl(set_, EPOLL_CTL_ADD, descriptor, &event) < 0)
    {
        int const error = errno;
        ::close(descriptor);
        errno = error;
        failed("epoll_ctl");
    }
    wake_ = descriptor;
}

void epoll_readiness_set::wake() noexcept
{
    std::uint64_t const one = 1;
    [[maybe_unused]] auto const written = ::write(wake_, &one, sizeof one);
}

bool epoll_readiness_set::watch(readiness& r, int descriptor, wait_direction d) noexcept
{
    bool const send = d == wait_direction::send;
    bool const is_new = !r.is_watched();
    if (!is_new && (!send || r.watches_send))
        return true;
    if (is_new)
        try
        {
            slots_.add(r);
        }
        catch (std::bad_alloc const&)
        {
            errno = ENOMEM;
            return false;
        }
    epoll_event event{};
    // Asking for what can be had at once, as sending mostly can, would be a wake-up for nothing.
    event.events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET | (send ? unsigned(EPOLLOUT) : 0u);
    event.data.u64 = slots_.name_of(r);
    if (::epoll_ctl(set_, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &event) < 0)
    {
        if (is_new)
            slots_.remove(r);
        return false;
    }
    r.watches_send = send;
    return true;
}

void epoll_readiness_set::unwatch(readiness const& r, int descriptor) noexcept
{
    if (r.is_watched())
        ::epoll_ctl(set_, EPOLL_CTL_DEL, descriptor, nullptr);
}

void epoll_readiness_set::forget(readiness& r) noexcept
{
    if (r.is_watched())
        slots_.remove(r);
}

readiness_events epoll_readiness_set::wait(clock::time_point until) noexcept
{
    readiness_events found;
    epoll_event events[readiness_events::most];
    int const n =
        set_ < 0 ? 0
                 : ::epoll_wait(set_, events, readiness_events::most, milliseconds_until(until));
    for (int i = 0; i < n; ++i)
    {
        if (events[i].data.u64 == is_wake)
        {
            found.woken = true;
            continue;
        }
        auto* const r = slots_.find(events[i].data.u64);
        if (!r)
            continue;
        auto const what = events[i].events;
        // Beside urgent data, too, a receive gives less than there is: it stops at the mark.
        if (what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI))
            r->hung_up = true;
        if (what & EPOLLIN)
            r->readable = true;
        if (what & EPOLLOUT)
            r->writable = true;
        found.add(*r);
    }
    return found;
}

} // namespace socketserver

#endif
