// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_PROGRAM_HPP
#define SOCKETSERVER_TEST_SUPPORT_PROGRAM_HPP

#include <socketserver/endpoint.hpp>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sched.h>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace support {

// Finds a program among those that the test was told of.
inline std::string path_of(std::string_view program)
{
    auto const& suite = boost::unit_test::framework::master_test_suite();
    for (std::string path : std::span(suite.argv, suite.argc).subspan(1))
        if (path.ends_with('/' + std::string(program)))
            return path;
    throw std::runtime_error("the test was not told where " + std::string(program) + " is");
}

// A program that runs beside the test, and is not outlived by anything that it has started.  What
// does not come within the time limit is an exception.
class program
{
public:
    // Starts it; input is all that it can read.
    explicit program(std::string_view name, std::vector<std::string> arguments = {},
        std::string const& input = {})
    {
        arguments.insert(arguments.begin(), path_of(name));
        std::vector<char*> argv;
        for (auto& a : arguments)
            argv.push_back(a.data());
        argv.push_back(nullptr);

        pipe in;
        pid_ = ::fork();
        if (pid_ < 0)
            fail("fork");
        if (pid_ == 0)
        {
            ::setpgid(0, 0);
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::dup2(in.read, STDIN_FILENO);
            ::dup2(out_.write, STDOUT_FILENO);
            ::dup2(errors_.write, STDERR_FILENO);
            ::execv(argv[0], argv.data());
            ::_exit(127);
        }
        ::setpgid(pid_, pid_);
        pipe::close(out_.write);
        pipe::close(errors_.write);
        pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
        if (pidfd_ < 0)
            fail("pidfd_open");
        if (::write(in.write, input.data(), input.size()) != static_cast<ssize_t>(input.size()))
            fail("write");
    }

    program(program const&) = delete;
    program& operator=(program const&) = delete;

    ~program()
    {
        if (!ended_)
        {
            ::kill(-pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        pipe::close(pidfd_);
    }

    pid_t pid() const noexcept { return pid_; }

    // Gives the next line that it prints.
    std::string line()
    {
        std::size_t end;
        while ((end = ahead_.find('\n')) == ahead_.npos)
            if (!more(out_.read, ahead_))
                throw std::runtime_error("the program ends: " + rest_of(errors_.read));
        auto result = ahead_.substr(0, end);
        ahead_.erase(0, end + 1);
        return result;
    }

    // Gives where it listens, which is the first thing that a server prints.
    socketserver::endpoint address()
    {
        std::string_view const expected = "listening on ";
        auto const first = line();
        if (!first.starts_with(expected))
            throw std::runtime_error("the program begins with: " + first);
        return std::string_view(first).substr(expected.size());
    }

    // Sends it a signal, and returns once that was delivered: of two alike the second is lost while
    // the first is pending.
    void signal(int number) const
    {
        ::kill(pid_, number);
        auto const until = std::chrono::steady_clock::now() + patience;
        while (pending() >> (number - 1) & 1)
        {
            if (std::chrono::steady_clock::now() > until)
                throw std::runtime_error("program: it does not take a signal");
            ::sched_yield();
        }
    }

    // Waits for its end, and checks that it has left no process behind.
    int exit_status()
    {
        await(pidfd_);
        int status = 0;
        if (::waitpid(pid_, &status, 0) != pid_)
            fail("waitpid");
        ended_ = true;
        // What is left is still in its process group.
        BOOST_TEST((::kill(-pid_, SIGKILL) < 0 && errno == ESRCH), "a process is left behind");
        BOOST_TEST(WIFEXITED(status), "ended by signal " << WTERMSIG(status));
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    // Gives the rest of what it prints, until its end.
    std::string output() { return std::exchange(ahead_, {}) + rest_of(out_.read); }
    std::string errors() { return rest_of(errors_.read); }

private:
    // Less than a server drains for: one that ends only by that is one that hangs.
    static constexpr std::chrono::seconds patience{20};

    struct pipe
    {
        pipe()
        {
            int ends[2];
            if (::pipe2(ends, O_CLOEXEC) < 0)
                fail("pipe");
            read = ends[0];
            write = ends[1];
        }

        pipe(pipe const&) = delete;
        pipe& operator=(pipe const&) = delete;

        ~pipe()
        {
            close(read);
            close(write);
        }

        static void close(int& descriptor) noexcept
        {
            if (int const fd = std::exchange(descriptor, -1); fd >= 0)
                ::close(fd);
        }

        int read = -1;
        int write = -1;
    };

    unsigned long long pending() const
    {
        std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
        for (std::string word; status >> word;)
            if (word == "ShdPnd:" && status >> word)
                return std::stoull(word, nullptr, 16);
        return 0;
    }

    [[noreturn]] static void fail(char const* what)
    {
        throw std::system_error(errno, std::system_category(), std::string("program: ") + what);
    }

    static void await(int descriptor)
    {
        pollfd wanted{descriptor, POLLIN, 0};
        int n;
        do
            n = ::poll(&wanted, 1, static_cast<int>(std::chrono::milliseconds(patience).count()));
        while (n < 0 && errno == EINTR);
        if (n <= 0)
            throw std::runtime_error("program: nothing happens");
    }

    static bool more(int descriptor, std::string& to)
    {
        await(descriptor);
        char buffer[4096];
        auto const n = ::read(descriptor, buffer, sizeof buffer);
        if (n < 0)
            fail("read");
        to.append(buffer, static_cast<std::size_t>(n));
        return n > 0;
    }

    static std::string rest_of(int descriptor)
    {
        std::string all;
        while (more(descriptor, all))
            ;
        return all;
    }

    pipe out_;
    pipe errors_;
    std::string ahead_;
    pid_t pid_ = -1;
    int pidfd_ = -1;
    bool ended_ = false;
};

} // namespace support

#endif
