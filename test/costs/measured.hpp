// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_COSTS_MEASURED_HPP
#define SOCKETSERVER_TEST_COSTS_MEASURED_HPP

#include "support/program.hpp"

#include <socketserver/endpoint.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <new>
#include <sched.h>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

namespace costs {

using words = std::vector<std::string>;

// A global fixture: the test and all that it starts run on one core, none of them interrupts
// another that runs, and they may have as many descriptors as the system allows.  What they ask
// the system for then hardly depends on what else the machine does.
struct on_one_core
{
    on_one_core()
    {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
        ::sched_setaffinity(0, sizeof one, &one);
        sched_param const parameters{};
        ::sched_setscheduler(0, SCHED_BATCH, &parameters);
        // A page of 2 MiB would count as written to when a byte of it is.
        ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
};

// Puts a load on a server, to its end.
inline void put_load(socketserver::endpoint const& server, std::size_t clients, std::size_t count,
    words const& more = {})
{
    words line{"--connect", server.str(), "--clients", std::to_string(clients), "--count",
        std::to_string(count)};
    line.insert(line.end(), more.begin(), more.end());
    support::program load("load", line);
    auto const errors = load.errors();
    BOOST_REQUIRE_MESSAGE(load.exit_status() == 0, errors);
}

// The command-line server.
struct echo
{
    explicit echo(std::string const& strategy)
        : server("socketserver",
              {"echo", "--bind", "127.0.0.1:0", "--strategy", strategy, "--log", "warning"})
        , address(server.address())
    {
    }

    // Told to end, it ends, and no error has come up.  That some of thousands of coroutines have
    // stacks without a guard is no error.
    void end()
    {
        server.signal(SIGTERM);
        BOOST_TEST(server.exit_status() == 0);
        auto const log = server.errors();
        BOOST_TEST(log.find(" error: ") == log.npos, log);
        BOOST_TEST(log.find(" fatal: ") == log.npos, log);
    }

    support::program server;
    socketserver::endpoint address;
};

// What a preloaded library counts in a program, and in its children (tools/bench/counters.c).
class counters
{
public:
    struct values
    {
        std::atomic<unsigned long long> calls;
        std::atomic<unsigned long long> allocations;
    };

    counters()
        : file_(::memfd_create("counters", 0))
    {
        void* at = MAP_FAILED;
        if (file_ >= 0 && ::ftruncate(file_, sizeof(values)) == 0)
            at = ::mmap(nullptr, sizeof(values), PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
        if (at == MAP_FAILED)
            throw std::runtime_error("counters: no memory");
        values_ = new (at) values{};
        auto const path = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file_);
        ::setenv("SOCKETSERVER_COUNTERS", path.c_str(), 1);
        ::setenv("LD_PRELOAD", support::path_of("libcounters.so").c_str(), 1);
    }

    counters(counters const&) = delete;
    counters& operator=(counters const&) = delete;

    ~counters()
    {
        ::munmap(values_, sizeof(values));
        ::close(file_);
        started();
    }

    // What is started from now on is not counted.
    void started()
    {
        ::unsetenv("LD_PRELOAD");
        ::unsetenv("SOCKETSERVER_COUNTERS");
    }

    double calls() const noexcept { return static_cast<double>(values_->calls); }
    double allocations() const noexcept { return static_cast<double>(values_->allocations); }

private:
    int file_;
    values* values_;
};

// The memory that is a process's own, in bytes: what it has written to.
inline double own_memory(pid_t pid)
{
    std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
    double kilobytes = 0;
    for (std::string word; rollup >> word;)
        if (word == "Anonymous:" && rollup >> kilobytes)
            return kilobytes * 1024;
    throw std::runtime_error("smaps_rollup does not tell");
}

// How often a process, and its children that have been reaped, came to a page that was not theirs
// yet (proc_pid_stat(5), minflt and cminflt).
inline double page_faults(pid_t pid)
{
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(stat, line);
    // The name of the program may have spaces in it.
    std::istringstream fields(line.substr(line.rfind(')') + 1));
    std::string skipped;
    for (int i = 3; i < 10; ++i)
        fields >> skipped;
    double own = 0;
    double children = 0;
    if (!(fields >> own >> children))
        throw std::runtime_error("stat does not tell");
    return own + children;
}

// Says a figure where tools/bench/run finds it, and checks it.  A promise is rounded, for there is
// a little that is done once in many operations.
inline void figure(std::string const& what, std::string const& of, double value, double at_most,
    double rounding = 0)
{
    bool const met = value <= at_most + rounding;
    BOOST_TEST_MESSAGE("figure: " << what << " | " << of << " | " << value << " | " << at_most
                                  << " | " << (met ? "met" : "missed"));
    BOOST_TEST(met, what << ", " << of << ": " << value << ", at most " << at_most);
}

} // namespace costs

#endif
