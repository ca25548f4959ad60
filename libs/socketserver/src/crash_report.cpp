// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "crash_report.hpp"

#include "current_request.hpp"
#include "thread_signals.hpp"

#include <socketserver/active_request.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <iterator>
#include <sys/mman.h>
#include <unistd.h>

namespace socketserver::crash_report {

namespace {

struct sigaction before[std::size(crash_signals)];
std::atomic<record*> current_record{nullptr};
std::atomic<bool> has_begun{false};

void crashed(int signal, siginfo_t* info, void*) noexcept
{
    int const error = errno;
    // What others send says nothing of the request that this thread happens to run.
    bool const is_sent = info->si_code <= 0;
    if (!is_sent || info->si_pid == ::getpid())
        // The first thread that crashes is the one to tell of.
        if (auto* const r = current_record.exchange(nullptr))
        {
            if (current_request)
            {
                r->client = current_request->client();
                r->has_client = true;
            }
            r->signal = signal;
        }
    auto const which = std::find(std::begin(crash_signals), std::end(crash_signals), signal);
    ::sigaction(signal, &before[which - std::begin(crash_signals)], nullptr);
    // An instruction that failed is run again, and fails again; a signal that was sent is not.
    if (is_sent)
        ::raise(signal);
    errno = error;
}

// Enough for what others do about the signal, too: a sanitizer's report.
constexpr std::size_t stack_size = 128 * 1024;

class alternate_stack
{
public:
    alternate_stack() noexcept
    {
        stack_t own;
        // The program, or a sanitizer, may have seen to it.
        if (::sigaltstack(nullptr, &own) < 0 || (own.ss_flags & SS_DISABLE) == 0)
            return;
        memory_ = ::mmap(nullptr, stack_size, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        // Without one, a crash is reported without its client if it is a stack overflow.
        if (memory_ == MAP_FAILED)
            return;
        own = {};
        own.ss_sp = memory_;
        own.ss_size = stack_size;
        ::sigaltstack(&own, nullptr);
    }

    alternate_stack(alternate_stack const&) = delete;
    alternate_stack& operator=(alternate_stack const&) = delete;

    ~alternate_stack()
    {
        stack_t none{};
        none.ss_flags = SS_DISABLE;
        stack_t now;
        if (memory_ == MAP_FAILED || ::sigaltstack(nullptr, &now) < 0)
            return;
        if (now.ss_sp == memory_)
            ::sigaltstack(&none, nullptr);
        ::munmap(memory_, stack_size);
    }

private:
    void* memory_ = MAP_FAILED;
};

} // namespace

void begin(record& where) noexcept
{
    current_record = &where;
    // A process that was forked by one that has begun has the handlers.
    if (!has_begun.exchange(true))
        for (std::size_t i = 0; i < std::size(crash_signals); ++i)
        {
            struct sigaction action
            {
            };
            ::sigemptyset(&action.sa_mask);
            action.sa_flags = SA_SIGINFO | SA_ONSTACK;
            action.sa_sigaction = crashed;
            ::sigaction(crash_signals[i], &action, &before[i]);
        }
    cover_this_thread();
}

void end() noexcept
{
    current_record = nullptr;
}

void cover_this_thread() noexcept
{
    if (!has_begun)
        return;
    thread_local alternate_stack const stack;
}

} // namespace socketserver::crash_report
