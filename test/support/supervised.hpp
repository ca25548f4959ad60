// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_SUPERVISED_HPP
#define SOCKETSERVER_TEST_SUPPORT_SUPERVISED_HPP

#include "matrix_process.hpp"

#include <socketserver/strategy/worker_supervisor.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <poll.h>
#include <unistd.h>

namespace matrix {

/** A worker that only waits to be told to go: by SIGTERM 0, by SIGQUIT 3. */
[[noreturn]] inline void obey()
{
    std::signal(SIGTERM, [](int) { ::_exit(0); });
    std::signal(SIGQUIT, [](int) { ::_exit(3); });
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    for (;;)
        ::pause();
}

/** A supervisor without a server, whose loop is run_until(). */
struct supervised : nothing_left
{
    template <class Condition>
    bool run_until(Condition const& condition)
    {
        using clk = std::chrono::steady_clock;
        auto const end = clk::now() + patience;
        while (!condition() && clk::now() < end)
        {
            auto const left = std::min(supervisor.next_timer(), end) - clk::now();
            auto const ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
            pollfd fd{supervisor.descriptor(), POLLIN, 0};
            ::poll(&fd, 1, static_cast<int>(std::max<long>(ms, 0)));
            supervisor.run();
        }
        return condition();
    }

    void teardown()
    {
        supervisor.drain();
        supervisor.kill();
        left.reset();
        nothing_left::teardown();
    }

    std::optional<socketserver::worker_supervisor> left{std::in_place};
    socketserver::worker_supervisor& supervisor = *left;
};

} // namespace matrix

#endif
