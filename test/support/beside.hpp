// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_BESIDE_HPP
#define SOCKETSERVER_TEST_SUPPORT_BESIDE_HPP

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <future>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>

namespace support {

// The letter that the system has for what a thread of this process does: S when it sleeps.
inline char thread_state(pid_t thread)
{
    std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
    std::string line;
    std::getline(stat, line);
    auto const name_end = line.rfind(") ");
    return name_end == line.npos ? 'X' : line.at(name_end + 2);
}

// Waits until a thread of this process sleeps; what never does is an exception.
inline void wait_until_asleep(pid_t thread)
{
    auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (thread_state(thread) != 'S')
    {
        if (std::chrono::steady_clock::now() > end)
            throw std::runtime_error("a thread does not wait");
        std::this_thread::yield();
    }
}

// Something that happens in a thread beside the test, joined in the end.
template <class Result>
class beside
{
public:
    template <class F>
    explicit beside(F f)
        : task_(std::move(f))
        , result_(task_.get_future())
        , thread_([this] {
            id_ = ::gettid();
            id_.notify_all();
            task_();
        })
    {
    }

    beside(beside const&) = delete;
    beside& operator=(beside const&) = delete;

    ~beside()
    {
        if (thread_.joinable())
            thread_.join();
    }

    // Waits until it waits.
    void wait_until_asleep() const
    {
        id_.wait(0);
        support::wait_until_asleep(id_);
    }

    bool is_done() const
    {
        return result_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }

    void signal(int number) { ::pthread_kill(thread_.native_handle(), number); }

    // Waits for its end, and gives what it returned or throws what it threw.
    Result get()
    {
        if (result_.wait_for(std::chrono::seconds(20)) != std::future_status::ready)
            throw std::runtime_error("a thread does not end");
        thread_.join();
        return result_.get();
    }

private:
    std::packaged_task<Result()> task_;
    std::future<Result> result_;
    std::atomic<pid_t> id_{0};
    std::thread thread_;
};

template <class F>
beside(F) -> beside<std::invoke_result_t<F>>;

// Counts a signal instead of what it would do; system calls are not restarted after it.
class counted_signal
{
public:
    explicit counted_signal(int number)
        : number_(number)
    {
        count() = 0;
        struct sigaction action
        {
        };
        action.sa_handler = [](int) { ++count(); };
        ::sigaction(number, &action, &before_);
    }

    counted_signal(counted_signal const&) = delete;
    counted_signal& operator=(counted_signal const&) = delete;

    ~counted_signal() { ::sigaction(number_, &before_, nullptr); }

    static std::atomic<int>& count()
    {
        static std::atomic<int> n{0};
        return n;
    }

private:
    int number_;
    struct sigaction before_;
};

} // namespace support

#endif
