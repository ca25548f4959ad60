// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "asio_readiness_set.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <cerrno>
#include <deque>
#include <fcntl.h>
#include <new>
#include <unistd.h>
#include <utility>
#include <vector>

namespace asio = boost::asio;

namespace socketserver {

using asio::posix::descriptor_base;
using asio::posix::stream_descriptor;
using boost::system::error_code;

namespace {

// Lends a descriptor to Asio, which makes it non-blocking for everybody who has it, and only once.
void lend(int descriptor, stream_descriptor& to, error_code& ec)
{
    to.assign(descriptor, ec);
    if (ec)
        return;
    int const flags = ::fcntl(descriptor, F_GETFL);
    to.native_non_blocking(true, ec);
    if (ec)
        to.release();
    else if (!(flags & O_NONBLOCK))
        ::fcntl(descriptor, F_SETFL, flags);
}

// Takes it back before Asio closes it.
void take_back(stream_descriptor& from) noexcept
{
    if (from.is_open())
        from.release();
}

} // namespace

// What a slot stands for.  It is used again, with its memory.
struct asio_readiness_set::watched
{
    explicit watched(asio::io_context& context)
        : descriptor(context)
    {
    }

    bool& waits(wait_direction d) noexcept
    {
        return d == wait_direction::receive ? waits_to_receive : waits_to_send;
    }

    stream_descriptor descriptor;
    bool waits_to_receive = false;
    bool waits_to_send = false;
};

struct asio_readiness_set::state
{
    // No lock is needed: other threads write to the pipe.
    asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};

    // Apart from the context, for a forked process must not destroy it.
    struct lent
    {
        explicit lent(asio::io_context& context)
            : work(context.get_executor())
            , wake(context)
        {
        }

        ~lent()
        {
            for (auto& w : slots)
                take_back(w.descriptor);
            take_back(wake);
        }

        asio::executor_work_guard<asio::io_context::executor_type> work;
        stream_descriptor wake;
        bool waits_for_wake = false;
        std::deque<watched> slots;
    };

    std::unique_ptr<lent> descriptors = std::make_unique<lent>(context);
};

asio_readiness_set::asio_readiness_set() noexcept = default;

asio_readiness_set::~asio_readiness_set()
{
    state_.reset();
    leave();
}

void asio_readiness_set::leave() noexcept
{
    // Whoever takes a descriptor back takes it out of the system's set, which is the parent's, too.
    // The context alone only closes it.
    if (state_)
    {
        [[maybe_unused]] auto* const left = state_->descriptors.release();
    }
    state_.reset();
    for (int& descriptor : wake_)
        if (int const fd = std::exchange(descriptor, -1); fd >= 0)
            ::close(fd);
}

void asio_readiness_set::open()
{
    if (!state_)
        state_ = std::make_unique<state>();
}

void asio_readiness_set::allow_wake()
{
    if (wake_[0] >= 0)
        return;
    open();
    error_code ec;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
    {
        ec.assign(errno, boost::system::system_category());
        throw boost::system::system_error(ec, "pipe2");
    }
    lend(ends[0], state_->descriptors->wake, ec);
    if (ec)
    {
        ::close(ends[0]);
        ::close(ends[1]);
        throw boost::system::system_error(ec, "assign");
    }
    wake_[0] = ends[0];
    wake_[1] = ends[1];
}

void asio_readiness_set::wake() noexcept
{
    // It only fails where there is more than enough to read.
    char const byte = 0;
    [[maybe_unused]] auto const written = ::write(wake_[1], &byte, 1);
}

bool asio_readiness_set::watch(readiness& r, int descriptor, wait_direction d) noexcept
{
    bool const is_new = !r.is_watched();
    error_code ec;
    try
    {
        auto& all = state_->descriptors->slots;
        if (is_new)
        {
            slots_.add(r);
            while (all.size() <= r.slot)
                all.emplace_back(state_->context);
            lend(descriptor, all[r.slot].descriptor, ec);
        }
        // One that has lasted longer than its waiter is still under way.
        if (auto& w = all[r.slot]; !ec && !w.waits(d))
            start(slots_.name_of(r), w, d);
    }
    catch (std::bad_alloc const&)
    {
        ec = asio::error::no_memory;
    }
    if (!ec)
        return true;
    if (is_new)
        forget(r);
    errno = ec.value();
    return false;
}

void asio_readiness_set::start(readiness_slots::name name, watched& w, wait_direction d)
{
    bool const receives = d == wait_direction::receive;
    w.descriptor.async_wait(receives ? descriptor_base::wait_read : descriptor_base::wait_write,
        [this, name, &w, receives, d](error_code const&) {
            auto* const r = slots_.find(name);
            if (!r)
                return;
            w.waits(d) = false;
            (receives ? r->readable : r->writable) = true;
            found_->add(*r);
        });
    w.waits(d) = true;
}

void asio_readiness_set::start_wake()
{
    auto& lent = *state_->descriptors;
    if (wake_[0] < 0 || lent.waits_for_wake)
        return;
    lent.wake.async_wait(descriptor_base::wait_read, [this, &lent](error_code const&) {
        lent.waits_for_wake = false;
        found_->woken = true;
        char bytes[256];
        while (::read(wake_[0], bytes, sizeof bytes) == sizeof bytes)
            ;
    });
    lent.waits_for_wake = true;
}

void asio_readiness_set::unwatch(readiness const& r, int) noexcept
{
    if (state_ && r.is_watched())
        take_back(state_->descriptors->slots[r.slot].descriptor);
}

void asio_readiness_set::forget(readiness& r) noexcept
{
    if (!r.is_watched())
        return;
    if (state_ && r.slot < state_->descriptors->slots.size())
    {
        auto& w = state_->descriptors->slots[r.slot];
        take_back(w.descriptor);
        w.waits_to_receive = w.waits_to_send = false;
    }
    slots_.remove(r);
}

readiness_events asio_readiness_set::wait(clock::time_point until) noexcept
{
    readiness_events found;
    if (!state_)
        return found;
    found_ = &found;
    wait_for_one(until);
    collect();
    return found;
}

bool asio_readiness_set::wait_with(
    std::span<int const> others, clock::time_point until, readiness_events& found)
{
    if (!state_)
        return false;
    found_ = &found;
    if (until != clock::time_point::min())
    {
        // Lent anew each time: nobody says when one of them is closed.
        struct lent_now
        {
            ~lent_now()
            {
                for (auto& d : descriptors)
                    take_back(d);
            }

            std::vector<stream_descriptor> descriptors;
        } lent;
        lent.descriptors.reserve(others.size());
        for (int const other : others)
        {
            if (other < 0)
                continue;
            error_code ec;
            auto& d = lent.descriptors.emplace_back(state_->context);
            lend(other, d, ec);
            if (ec)
                throw boost::system::system_error(ec, "assign");
            d.async_wait(descriptor_base::wait_read, [](error_code const&) {});
        }
        wait_for_one(until);
    }
    // With the ends of those that were taken back, or the next wait would end by them.
    collect();
    return true;
}

void asio_readiness_set::wait_for_one(clock::time_point until) noexcept
{
    try
    {
        start_wake();
    }
    catch (std::bad_alloc const&)
    {
        // Tried again in the next turn, which comes at once.
        return;
    }
    if (until == clock::time_point::max())
        state_->context.run_one();
    else if (until != clock::time_point::min())
        state_->context.run_one_until(until);
}

void asio_readiness_set::collect() noexcept
{
    while (!found_->is_full() && state_->context.poll_one() != 0)
        ;
}

} // namespace socketserver
