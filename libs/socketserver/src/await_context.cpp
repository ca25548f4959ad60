// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "await_context.hpp"

#include "thread_signals.hpp"

#include <socketserver/log.hpp>

#include <boost/asio/executor_work_guard.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>

namespace socketserver {

namespace {

struct runner
{
    explicit runner(runner* parents)
        : before(parents)
    {
    }

    void start()
    {
        std::lock_guard const lock(mutex);
        if (!thread.joinable())
            thread = std::thread([this] { run(); });
    }

    void run() noexcept
    {
        block_signals_of_others();
        while (!context.stopped())
            try
            {
                context.run();
            }
            catch (std::exception const& e)
            {
                log(log_severity::error,
                    std::string("the end of an operation has failed: ") + e.what());
            }
            catch (...)
            {
                log(log_severity::error, "the end of an operation has thrown something unknown");
            }
    }

    // The context is left: what is destroyed later may still refer to it.
    void stop() noexcept
    {
        context.stop();
        if (thread.joinable() && thread.get_id() != std::this_thread::get_id())
            thread.join();
    }

    pid_t const process = ::getpid();
    runner* const before; // of the process that has forked this one, and of no use
    boost::asio::io_context context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
        context.get_executor()};
    std::mutex mutex;
    std::thread thread;
};

// No lock, which another thread may hold at a fork.
std::atomic<runner*> of_this_process{nullptr};

runner& get()
{
    auto* r = of_this_process.load();
    while (!r || r->process != ::getpid())
    {
        auto made = std::make_unique<runner>(r);
        if (of_this_process.compare_exchange_strong(r, made.get()))
            r = made.release();
    }
    return *r;
}

// Ends the thread when the program ends.
struct at_exit
{
    ~at_exit()
    {
        if (auto* const r = of_this_process.load(); r->process == ::getpid())
            r->stop();
    }
};

} // namespace

boost::asio::io_context& await_context()
{
    return get().context;
}

boost::asio::io_context& running_await_context()
{
    auto& r = get();
    static at_exit const ends_the_thread;
    r.start();
    return r.context;
}

} // namespace socketserver
