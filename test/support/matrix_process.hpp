// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_PROCESS_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_PROCESS_HPP

#include "matrix_shared.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace matrix {

// ---------------------------------------------------------------- what /proc says

/** The descriptors of a process, and what they are. */
inline std::map<int, std::string> descriptors_of(pid_t pid = ::getpid())
{
    std::map<int, std::string> result;
    std::error_code ec;
    std::filesystem::directory_iterator at("/proc/" + std::to_string(pid) + "/fd", ec);
    if (ec)
        return result;
    for (auto const& entry : at)
    {
        auto const what = std::filesystem::read_symlink(entry, ec);
        // The one that is being read from is gone already.
        if (!ec && what.string() != "/proc/" + std::to_string(pid) + "/fd")
            result.emplace(std::stoi(entry.path().filename()), what);
    }
    return result;
}

/** How many threads a process has. */
inline std::size_t threads_of(pid_t pid = ::getpid())
{
    std::error_code ec;
    std::filesystem::directory_iterator const tasks("/proc/" + std::to_string(pid) + "/task", ec);
    return ec ? 0 : static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

/** The letter that the system has for what a process or a thread does; X where it is none. */
inline char state_of(pid_t id)
{
    std::ifstream file("/proc/" + std::to_string(id) + "/stat");
    std::ostringstream text;
    text << file.rdbuf();
    auto const stat = text.str();
    auto const name_end = stat.rfind(')');
    return name_end == stat.npos ? 'X' : stat.at(name_end + 2);
}

/** Whether a process is there, and more than a zombie. */
inline bool is_alive(pid_t pid)
{
    char const state = state_of(pid);
    return state != 'Z' && state != 'X';
}

/** The children of this process, the dead ones that nobody has reaped included. */
inline std::vector<pid_t> children()
{
    std::vector<pid_t> result;
    std::error_code ec;
    for (auto const& task : std::filesystem::directory_iterator("/proc/self/task", ec))
    {
        std::ifstream file(task.path() / "children");
        for (pid_t pid; file >> pid;)
            result.push_back(pid);
    }
    return result;
}

// ---------------------------------------------------------------- nothing is left behind

/** Sees to it that a test leaves no child, zombie, descriptor or thread. */
class nothing_left
{
public:
    nothing_left()
        : descriptors_(descriptors_of())
        , threads_(threads_of_the_process())
        , children_(children())
    {
    }

    // Called by Boost.Test when the test has ended.
    void teardown()
    {
        // A thread that was joined is in /proc for a moment more.
        if (!eventually([this] { return threads_of() <= threads_; }, 5s))
            BOOST_ERROR(threads_of() - threads_ << " threads are left");
        for (auto const pid : children())
            if (std::find(children_.begin(), children_.end(), pid) == children_.end())
                BOOST_ERROR("child " << pid << (is_alive(pid) ? "" : ", a zombie,") << " is left");
        for (auto const& [number, what] : descriptors_of())
            if (!descriptors_.contains(number))
                BOOST_ERROR("descriptor " << number << " (" << what << ") is left");
    }

private:
    // With the first thread, ThreadSanitizer starts one of its own, which stays.
    static std::size_t threads_of_the_process()
    {
        static bool const started = (std::thread([] {}).join(), true);
        static_cast<void>(started);
        return threads_of();
    }

    std::map<int, std::string> descriptors_;
    std::size_t threads_;
    std::vector<pid_t> children_;
};

// ---------------------------------------------------------------- a process for a while

/** Dies by a signal as any program does: the test framework would take it for its own. */
[[noreturn]] inline void die_by(int signal)
{
    std::signal(signal, SIG_DFL);
    sigset_t just_it;
    ::sigemptyset(&just_it);
    ::sigaddset(&just_it, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &just_it, nullptr);
    ::raise(signal);
    ::_exit(EXIT_FAILURE);
}

/** A process that runs a function and leaves; what it writes to standard error is kept. */
class process
{
public:
    template <class Function>
    explicit process(Function const& f)
    {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) < 0)
            throw std::runtime_error("no pipe");
        pid_ = ::fork();
        if (pid_ < 0)
            throw std::runtime_error("no process");
        if (pid_ == 0)
        {
            ::dup2(ends[1], STDERR_FILENO);
            ::close(ends[0]);
            ::close(ends[1]);
            for (int const signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM})
                std::signal(signal, SIG_DFL);
            // Whatever goes wrong, it does not stay.
            ::alarm(2 * patience.count());
            int status = EXIT_FAILURE;
            try
            {
                f();
                status = EXIT_SUCCESS;
            }
            catch (std::exception const& e)
            {
                std::string const text = std::string("thrown: ") + e.what() + '\n';
                [[maybe_unused]] auto const n = ::write(STDERR_FILENO, text.data(), text.size());
            }
            catch (...)
            {
            }
            ::_exit(status);
        }
        ::close(ends[1]);
        errors_ = ends[0];
    }

    process(process const&) = delete;
    process& operator=(process const&) = delete;

    ~process()
    {
        if (!reaped_)
        {
            ::kill(pid_, SIGKILL);
            wait();
        }
        ::close(errors_);
    }

    pid_t pid() const noexcept { return pid_; }

    void kill(int signal) noexcept { ::kill(pid_, signal); }

    /** Waits for its end: its exit status, or the negative number of the signal that killed it. */
    int wait()
    {
        if (reaped_)
            return result_;
        // Killed by the alarm at the latest; its end ends the pipe, unless children keep it.
        for (char buffer[4096];;)
        {
            pollfd fd{errors_, POLLIN, 0};
            siginfo_t info{};
            if (::poll(&fd, 1, 50) > 0)
            {
                auto const n = ::read(errors_, buffer, sizeof buffer);
                if (n <= 0)
                    break;
                text_.append(buffer, static_cast<std::size_t>(n));
            }
            else if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) ==
                         0 &&
                     info.si_pid == pid_)
                break;
        }
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR)
        {
        }
        reaped_ = true;
        result_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        return result_;
    }

    /** What it wrote to standard error; complete once it was waited for. */
    std::string const& errors() const noexcept { return text_; }

private:
    pid_t pid_ = -1;
    int errors_ = -1;
    bool reaped_ = false;
    int result_ = 0;
    std::string text_;
};

} // namespace matrix

#endif
