// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "process_signals.hpp"

#include "current_request.hpp"
#include "strategy/sanitizers.hpp"
#include "thread_signals.hpp"
#include "written_page.hpp"

#include <socketserver/active_request.hpp>
#include <socketserver/base_server.hpp>
#include <socketserver/endpoint.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <unistd.h>

namespace socketserver {

namespace {

enum class step
{
    serving,
    draining,
    aborting
};

auto& own = the_written_page.signals;
std::atomic<step> current_step{step::serving};

void make_timer(int signal) noexcept
{
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = signal;
    // Without a timer, which only a lack of memory could cause, an operator's second signal is
    // what remains.
    own.has_timer = ::timer_create(CLOCK_MONOTONIC, &event, &own.timer) == 0;
}

void set_timer(base_server::duration after) noexcept
{
    if (!own.has_timer)
        return;
    // Zero would disarm it.
    after = std::max(after, base_server::duration(1));
    itimerspec spec{};
    spec.it_value.tv_sec = after.count() / 1'000'000'000;
    spec.it_value.tv_nsec = after.count() % 1'000'000'000;
    ::timer_settime(own.timer, 0, &spec, nullptr);
}

void install(int signal, void (*handler)(int, siginfo_t*, void*), struct sigaction* before) noexcept
{
    struct sigaction action
    {
    };
    ::sigemptyset(&action.sa_mask);
    action.sa_flags = SA_SIGINFO | SA_RESTART;
#if defined(SOCKETSERVER_TSAN)
    // ThreadSanitizer runs a handler when the call that was interrupted has returned, and one that
    // is begun again does not.
    action.sa_flags = SA_SIGINFO;
#endif
    action.sa_sigaction = handler;
    ::sigaction(signal, &action, before);
}

void ignore(int signal) noexcept
{
    struct sigaction action
    {
    };
    ::sigemptyset(&action.sa_mask);
    action.sa_handler = SIG_IGN;
    ::sigaction(signal, &action, nullptr);
}

void unblock(std::initializer_list<int> signals) noexcept
{
    sigset_t mask = own.mask_before_fork;
    for (int const signal : signals)
        ::sigdelset(&mask, signal);
    for (int const signal : crash_signals)
        ::sigdelset(&mask, signal);
    ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
}

// Sends this process the signal that ends it when its parent dies.
void die_with(pid_t parent) noexcept
{
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    // It may have died before it could be watched.
    if (::getppid() != parent)
        ::raise(SIGTERM);
}

// A second more than the server takes when it can see to it itself, which leaves a better report.
base_server::duration with_grace(base_server::duration time) noexcept
{
    auto const grace = std::chrono::seconds(1);
    return std::min(time, base_server::duration::max() - grace) + grace;
}

void abort_and_go(base_server& server) noexcept
{
    current_step = step::aborting;
    server.request_abort();
    set_timer(with_grace(server.abort_timeout));
}

// The address of a client, by what a signal handler may call.
void print(endpoint const& client, char* text, std::size_t size) noexcept
{
    auto const* const address = static_cast<sockaddr const*>(client.data());
    char host[INET6_ADDRSTRLEN] = "";
    if (client.family() == address_family::ipv4)
    {
        auto const* const in = reinterpret_cast<sockaddr_in const*>(address);
        ::inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        ::snprintf(text, size, "%s:%u", host, unsigned{ntohs(in->sin_port)});
    }
    else if (client.family() == address_family::ipv6)
    {
        auto const* const in = reinterpret_cast<sockaddr_in6 const*>(address);
        ::inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        ::snprintf(text, size, "[%s]:%u", host, unsigned{ntohs(in->sin6_port)});
    }
    else
        ::snprintf(text, size, "a Unix client");
}

// The thread that is here never comes to say it by itself.
[[noreturn]] void give_up(active_request const& of_loop) noexcept
{
    auto const& stuck = current_request ? *current_request : of_loop;
    char client[80];
    print(stuck.client(), client, sizeof client);
    auto const age = std::chrono::duration_cast<std::chrono::seconds>(
        active_request::clock::now() - stuck.since());
    char line[256];
    int const size = ::snprintf(line, sizeof line,
        "fatal: the request of %s, which began %lld s ago, does not end though it was aborted; "
        "the process ends\n",
        client, static_cast<long long>(age.count()));
    [[maybe_unused]] auto const n = ::write(STDERR_FILENO, line, static_cast<std::size_t>(size));
    ::_exit(EXIT_FAILURE);
}

} // namespace

// What the handlers do; a member so that it may ask what others may not.
struct process_signals::actions
{
    static void in_a_request(int, siginfo_t* info, void*) noexcept
    {
        int const before = errno;
        if (info->si_code == SI_TIMER)
            give_up(own.server.load()->loop_request());
        auto& server = *own.server.load();
        server.loop_request().abort();
        set_timer(with_grace(server.abort_timeout));
        errno = before;
    }

    static void in_a_worker(int signal, siginfo_t* info, void*) noexcept
    {
        int const before = errno;
        auto& server = *own.server.load();
        if (signal == SIGTERM)
        {
            if (current_step == step::serving)
            {
                current_step = step::draining;
                server.request_worker_stop();
                set_timer(server.drain_timeout);
            }
        }
        else if (current_step != step::aborting)
        {
            server.request_worker_stop();
            abort_and_go(server);
        }
        else if (info->si_code == SI_TIMER)
            give_up(server.loop_request());
        errno = before;
    }

    static void in_the_program(int signal, siginfo_t* info, void*) noexcept
    {
        int const before = errno;
        auto& server = *own.server.load();
        switch (current_step.load())
        {
        case step::serving:
            if (signal == SIGHUP && server.request_renewal())
                break;
            current_step = step::draining;
            server.request_close();
            set_timer(server.drain_timeout);
            break;
        case step::draining:
            // A shell tells of the end of its terminal once more than the terminal does.
            if (signal != SIGHUP)
                abort_and_go(server);
            break;
        case step::aborting:
            if (info->si_code == SI_TIMER)
                give_up(server.loop_request());
        }
        errno = before;
    }
};

pid_t process_signals::fork() noexcept
{
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t const child = ::fork();
    if (child == 0)
    {
        if (!own.keeps_all_back)
            own.mask_before_fork = before;
    }
    else
    {
        int const error = child < 0 ? errno : 0;
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        if (child < 0)
            errno = error;
    }
    return child;
}

void process_signals::of_a_request(base_server& server, pid_t worker) noexcept
{
    own.server = &server;
    own.keeps_all_back = false;
    ignore(SIGINT);
    ignore(SIGHUP);
    install(SIGTERM, actions::in_a_request, nullptr);
    // Timers are not inherited.
    own.has_timer = false;
    if (worker != 0)
    {
        // Nobody is left to kill it when its worker was killed.
        make_timer(SIGTERM);
        die_with(worker);
    }
    unblock({SIGTERM});
}

void process_signals::of_a_fork_server() noexcept
{
    own.keeps_all_back = true;
}

void process_signals::of_a_worker(base_server& server, pid_t parent) noexcept
{
    own.server = &server;
    current_step = step::serving;
    make_timer(SIGQUIT);
    ignore(SIGINT);
    ignore(SIGHUP);
    install(SIGTERM, actions::in_a_worker, nullptr);
    install(SIGQUIT, actions::in_a_worker, nullptr);
    die_with(parent);
    unblock({SIGTERM, SIGQUIT});
}

process_signals::process_signals(base_server& server)
{
    base_server* none = nullptr;
    if (!own.server.compare_exchange_strong(none, &server))
        throw std::logic_error("run_until_signal: this process already runs a server so");
    current_step = step::serving;
    make_timer(SIGTERM);
    install(SIGINT, actions::in_the_program, &interrupt_before_);
    install(SIGTERM, actions::in_the_program, &terminate_before_);
    // A program that has a use for it, or was told to ignore it, keeps it.
    ::sigaction(SIGHUP, nullptr, &hang_up_before_);
    if (hang_up_before_.sa_handler == SIG_DFL)
        install(SIGHUP, actions::in_the_program, nullptr);
}

process_signals::~process_signals()
{
    loop_ended();
    ::sigaction(SIGINT, &interrupt_before_, nullptr);
    ::sigaction(SIGTERM, &terminate_before_, nullptr);
    ::sigaction(SIGHUP, &hang_up_before_, nullptr);
    if (own.has_timer)
        ::timer_delete(own.timer);
    own.has_timer = false;
    own.server = nullptr;
}

void process_signals::loop_ended() noexcept
{
    itimerspec const none{};
    if (own.has_timer)
        ::timer_settime(own.timer, 0, &none, nullptr);
}

} // namespace socketserver
