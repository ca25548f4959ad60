// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_SUPERVISED_HPP
#define SOCKETSERVER_TEST_SUPPORT_SUPERVISED_HPP

#include "matrix_process.hpp"

#include <socketserver/strategy/worker_supervisor.hpp>

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
            // What is waited for may give no sign; the supervisor runs only when it asked for it.
            pollfd fd{supervisor.descriptor(), POLLIN, 0};
            if (::poll(&fd, 1, 1) > 0 || supervisor.next_timer() <= clk::now())
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
