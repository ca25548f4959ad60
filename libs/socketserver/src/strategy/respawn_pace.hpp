// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_RESPAWN_PACE_HPP
#define SOCKETSERVER_SRC_STRATEGY_RESPAWN_PACE_HPP

#include <socketserver/log.hpp>

#include <algorithm>
#include <array>
#include <chrono>

namespace socketserver {

// When the next worker may start: at once, unless those before it die as soon as they live.
class respawn_pace
{
public:
    using clock = std::chrono::steady_clock;

    // A worker that began at `since` has ended unasked.
    void has_died(clock::time_point now, clock::time_point since, clock::duration young_age)
    {
        if (now - since >= young_age)
        {
            end();
            return;
        }
        early_.back() = now;
        std::rotate(early_.begin(), early_.end() - 1, early_.end());
        over_ = now + young_age;
        // The last place is the oldest: an empty one lies before all times.
        if (pause_ != clock::duration::zero() || early_.back() == none ||
            now - early_.back() > young_age)
            return;
        log(log_severity::error, "workers die soon after their start; the next ones wait");
        pause_ = shortest;
        next_ = now + pause_;
    }

    void has_started(clock::time_point now) noexcept
    {
        if (pause_ == clock::duration::zero())
            return;
        pause_ = std::min<clock::duration>(pause_ * 2, longest);
        next_ = now + pause_;
    }

    void wait_until(clock::time_point next) noexcept { next_ = next; }

    // Notices that none has died for long.
    void look(clock::time_point now)
    {
        if (now >= over())
            end();
    }

    clock::time_point next() const noexcept { return next_; }

    // When it will be over; max() when there is nothing to be over.
    clock::time_point over() const noexcept
    {
        return pause_ == clock::duration::zero() ? clock::time_point::max() : over_;
    }

private:
    static constexpr std::chrono::milliseconds shortest{100};
    static constexpr std::chrono::seconds longest{1};

    void end()
    {
        if (pause_ != clock::duration::zero())
            log(log_severity::info, "workers live on again");
        *this = respawn_pace();
    }

    static constexpr auto none = clock::time_point::min();

    // When the last ones died early, the latest first.
    std::array<clock::time_point, 5> early_{none, none, none, none, none};
    clock::duration pause_{0};
    clock::time_point next_{};
    clock::time_point over_ = clock::time_point::max();
};

} // namespace socketserver

#endif
