// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// How long shutdown() of an idle server takes when another thread calls it, by poll interval.

#include <socketserver.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <latch>
#include <thread>
#include <vector>

using namespace socketserver;
using clock_type = std::chrono::steady_clock;

namespace {

// Tells when the loop turns for the first time: the next thing that it does is to wait.
class idle_server : public threading_mixin<tcp_server>
{
public:
    using threading_mixin::threading_mixin;

    std::latch turned{1};

    bool has_room() const noexcept override
    {
        if (!const_cast<std::latch&>(turned).try_wait())
            const_cast<std::latch&>(turned).count_down();
        return threading_mixin::has_room();
    }
};

double one_shutdown(std::chrono::milliseconds poll_interval)
{
    ready<idle_server> server("127.0.0.1:0", [](stream&) {});
    std::jthread const loop([&] { server.serve_forever(poll_interval); });
    server.turned.wait();
    auto const begin = clock_type::now();
    server.shutdown();
    return std::chrono::duration<double, std::micro>(clock_type::now() - begin).count();
}

} // namespace

int main()
{
    for (int const ms : {50, 500, 60000})
    {
        std::vector<double> times;
        for (int i = 0; i < 1001; ++i)
            times.push_back(one_shutdown(std::chrono::milliseconds(ms)));
        std::sort(times.begin(), times.end());
        std::printf("poll interval %6d ms: median %5.0f us, slowest %6.0f us\n", ms,
            times[times.size() / 2], times.back());
    }
}
