// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/child_processes.hpp>

#include "../process_signals.hpp"
#include "../written_page.hpp"
#include "process_words.hpp"
#include "sanitizers.hpp"

#include <socketserver/log.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <optional>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#if __has_include(<sys/single_threaded.h>)
#    include <sys/single_threaded.h>
#endif
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace socketserver {

using clock = std::chrono::steady_clock;

namespace {

// How long the end of a request may go unnoticed that nobody waits for.
constexpr std::chrono::milliseconds short_time(10);

// How often children are looked at that no descriptor could be had for.
constexpr std::chrono::milliseconds look_interval(50);

// Debian 12's glibc has no wrappers that gcc 12's headers agree with.
int open_pidfd(pid_t pid) noexcept
{
    return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

// ThreadSanitizer has a thread of its own.
#if defined(SOCKETSERVER_TSAN)
constexpr nlink_t own_threads = 2;
#else
constexpr nlink_t own_threads = 1;
#endif

// Where the C library knows, looking costs nothing.
bool has_had_threads() noexcept
{
#if __has_include(<sys/single_threaded.h>)
    return !__libc_single_threaded;
#else
    return true;
#endif
}

void warn_beside_threads()
{
    static std::atomic<bool> said{false};
    if (!said && has_had_threads() && child_processes::beside_threads() && !said.exchange(true))
        log(log_severity::warning,
            "forking beside other threads: a lock that one of them holds now stays locked in the "
            "child");
}

} // namespace

struct child_processes::child
{
    ended description{};
    // What it is for, if it runs a request; its text is made when something is to be said.
    std::optional<endpoint> client;
    int pidfd = -1;
    request_place place;

    ended const& described()
    {
        if (client && description.purpose.empty())
            description.purpose = client->str();
        return description;
    }

    // By the pidfd where there is one; else by the number, which stays the child's until it is
    // reaped, and only we reap it.
    bool has_ended() noexcept
    {
        siginfo_t info{};
        auto const id = pidfd >= 0 ? static_cast<id_t>(pidfd) : static_cast<id_t>(description.pid);
        auto const type = pidfd >= 0 ? static_cast<idtype_t>(P_PIDFD) : P_PID;
        int result;
        do
            result = ::waitid(type, id, &info, WEXITED | WNOHANG);
        while (result < 0 && errno == EINTR);
        // The program may have SIGCHLD ignored: then the system has reaped it.
        if (result < 0)
            return true;
        if (info.si_pid == 0)
            return false;
        if (info.si_code == CLD_EXITED)
            description.status = info.si_status;
        else
            description.signal = info.si_status;
        return true;
    }

    void signal(int number) noexcept
    {
        if (pidfd >= 0)
            ::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0);
        else
            ::kill(description.pid, number);
    }
};

struct child_processes::state : on_written_page
{
    explicit state(char const* what)
        : kind(what)
    {
    }

    ~state() { close_all(); }

    void close_all() noexcept
    {
        // Most processes have none, and their many children are not looked at.
        if (unwatched != children.size())
            for (auto const& c : children)
                if (c.pidfd >= 0)
                    ::close(c.pidfd);
        if (set >= 0)
            ::close(set);
    }

    // With the lock held.  Without a set, children are looked at now and then.
    void make_set() noexcept
    {
        if (set < 0)
            set = ::epoll_create1(EPOLL_CLOEXEC);
    }

    // With the lock held.  Has the set tell of the end of a child.
    void watch(child& c) noexcept
    {
        c.pidfd = open_pidfd(c.description.pid);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = c.pidfd;
        if (c.pidfd >= 0 && ::epoll_ctl(set, EPOLL_CTL_ADD, c.pidfd, &event) < 0)
        {
            ::close(c.pidfd);
            c.pidfd = -1;
        }
        if (c.pidfd >= 0)
            --unwatched;
    }

    // What a report begins with.
    std::string name_of(child_processes::ended const& c) const
    {
        return process_words::name(kind, c.pid, c.purpose);
    }

    char const* kind;
    // Held until all has been told of those that have ended.  Taken before the other.
    std::mutex collecting;
    mutable std::mutex mutex;
    std::vector<child> children;
    int set = -1;
    // Children without a pidfd, which are looked at when the time has come.
    std::size_t unwatched = 0;
    clock::time_point next_look = clock::time_point::max();
};

child_processes::child_processes(char const* kind)
    : state_(std::make_unique<state>(kind))
{
}

child_processes::~child_processes() = default;

int child_processes::fork(std::string purpose)
{
    child c;
    c.description.purpose = std::move(purpose);
    return start(std::move(c), nullptr);
}

int child_processes::fork(endpoint const& client, request_place& place)
{
    child c;
    c.client = client;
    return start(std::move(c), &place);
}

int child_processes::start(child&& c, request_place* place)
{
    auto& s = *state_;
    warn_beside_threads();
    {
        std::lock_guard const lock(s.mutex);
        if (s.children.size() == s.children.capacity())
            s.children.reserve(std::max<std::size_t>(16, 2 * s.children.size()));
        s.make_set();
        if (place)
            place->share();
    }
    pid_t const pid = process_signals::fork();
    if (pid < 0)
    {
        int const error = errno;
        std::lock_guard const lock(s.mutex);
        if (place)
            place->keep();
        throw std::system_error(error, std::generic_category(), "fork");
    }
    if (pid == 0)
        return 0;

    std::lock_guard const lock(s.mutex);
    c.description.pid = pid;
    c.description.since = clock::now();
    ++s.unwatched;
    if (place)
        c.place = std::move(*place);
    else
        s.watch(c);
    if (c.pidfd < 0)
        s.next_look =
            std::min(s.next_look, c.description.since + (place ? short_time : look_interval));
    s.children.push_back(std::move(c));
    return pid;
}

std::size_t child_processes::size() const noexcept
{
    std::lock_guard const lock(state_->mutex);
    return state_->children.size();
}

std::vector<int> child_processes::pids() const
{
    std::lock_guard const lock(state_->mutex);
    std::vector<int> result;
    for (auto const& c : state_->children)
        result.push_back(c.description.pid);
    return result;
}

void child_processes::signal(int number) noexcept
{
    std::lock_guard const lock(state_->mutex);
    for (auto& c : state_->children)
        c.signal(number);
}

void child_processes::signal(int pid, int number) noexcept
{
    std::lock_guard const lock(state_->mutex);
    for (auto& c : state_->children)
        if (c.description.pid == pid)
            c.signal(number);
}

void child_processes::watch_all() noexcept
{
    std::lock_guard const lock(state_->mutex);
    if (state_->unwatched == 0)
        return;
    for (auto& c : state_->children)
        if (c.pidfd < 0)
            state_->watch(c);
    if (state_->unwatched == 0)
        state_->next_look = clock::time_point::max();
}

void child_processes::kill() noexcept
{
    watch_all();
    for (auto& c : state_->children)
        log(log_severity::error, process_words::kill(state_->name_of(c.described())));
    signal(SIGKILL);
    // Nothing delays that but the kernel.
    while (size() != 0)
    {
        pollfd set{descriptor(), POLLIN, 0};
        ::poll(&set, 1, 10);
        collect();
    }
}

int child_processes::descriptor() const noexcept
{
    return state_->set;
}

clock::time_point child_processes::next_timer() const noexcept
{
    std::lock_guard const lock(state_->mutex);
    return state_->next_look;
}

void child_processes::collect()
{
    auto& s = *state_;
    std::lock_guard const one_at_a_time(s.collecting);
    std::vector<ended> gone;
    {
        std::lock_guard const lock(s.mutex);
        auto const now = clock::now();
        bool const look = s.unwatched != 0 && s.next_look <= now;
        epoll_event events[64];
        int const n = s.set < 0 ? 0 : ::epoll_wait(s.set, events, 64, 0);
        std::erase_if(s.children, [&](child& c) {
            auto const is_this = [&](epoll_event const& e) { return e.data.fd == c.pidfd; };
            if ((c.pidfd >= 0 && std::none_of(events, events + std::max(n, 0), is_this)) ||
                !c.has_ended())
            {
                if (c.pidfd < 0 && look)
                    s.watch(c);
                return false;
            }
            // Closing it would not take it out of the set, and so keep the loop awake, while a child
            // that was forked meanwhile has it too.
            if (c.pidfd >= 0)
            {
                ::epoll_ctl(s.set, EPOLL_CTL_DEL, c.pidfd, nullptr);
                ::close(c.pidfd);
            }
            else
                --s.unwatched;
            if (c.description.signal != 0)
                c.place.crashed();
            c.place.give_back();
            if (on_end || c.description.signal != 0 || c.description.status != 0)
                gone.push_back(c.described());
            return true;
        });
        if (s.unwatched == 0)
            s.next_look = clock::time_point::max();
        else if (look)
            s.next_look = now + look_interval;
    }
    for (auto const& e : gone)
    {
        if (on_end)
            on_end(e);
        else
            log(e.signal != 0 ? log_severity::error : log_severity::warning, text(e));
    }
}

std::string child_processes::text(ended const& child) const
{
    return process_words::end(state_->name_of(child), child.signal, child.status);
}

void child_processes::watch(int descriptor)
{
    std::lock_guard const lock(state_->mutex);
    state_->make_set();
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    if (::epoll_ctl(state_->set, EPOLL_CTL_ADD, descriptor, &event) < 0 && errno != EEXIST)
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

void child_processes::after_fork()
{
    state_->close_all();
    // In its place: another thread may have held the lock, and have been about to change the rest.
    std::construct_at(state_.get(), state_->kind);
}

bool child_processes::beside_threads(std::chrono::milliseconds patience) noexcept
{
    // A folder has a link from itself, one from above, and one from each folder within.
    auto const until = clock::now() + patience;
    struct stat tasks;
    while (::stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink > 2 + own_threads)
    {
        if (clock::now() >= until)
            return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

void child_processes::leave(int status) noexcept
{
    ::_exit(status);
}

} // namespace socketserver
