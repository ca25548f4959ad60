// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Forking in a program whose threads hold locks at any time.

#include <socketserver/strategy/fork_server.hpp>

#define BOOST_TEST_MODULE fork_server_beside_threads

#include "support/logged.hpp"
#include "support/matrix_fork_server.hpp"
#include "support/sanitizer.hpp"

#include <socketserver/log.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>
#include <netdb.h>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace matrix;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// A fork costs a sanitizer some ten milliseconds: it copies the tables of the shadow, too.
#if defined(SOCKETSERVER_TEST_ASAN) || defined(SOCKETSERVER_TEST_TSAN)
constexpr int requests = 200;
#else
constexpr int requests = 2000;
#endif

void log_something()
{
    socketserver::log(socketserver::log_severity::info, "a line");
}

void resolve_something()
{
    for (char const* const name : {"localhost", "127.0.0.1"})
    {
        addrinfo* found = nullptr;
        if (::getaddrinfo(name, "80", nullptr, &found) == 0)
            ::freeaddrinfo(found);
    }
}

void tell_the_time()
{
    // ThreadSanitizer does not see the lock that the C library has for the time zone.
#if !defined(SOCKETSERVER_TEST_TSAN)
    ::tzset();
#endif
    std::time_t const now = std::time(nullptr);
    std::tm parts;
    ::localtime_r(&now, &parts);
}

// Of one length, so that no thread reads a text that another frees.
void change_the_environment()
{
    static std::atomic<int> n{0};
    ::setenv("SOCKETSERVER_TEST", ++n % 2 == 0 ? "one" : "two", 1);
    if (!::getenv("SOCKETSERVER_TEST"))
        std::abort();
}

void allocate_something()
{
    std::vector<std::string> texts;
    for (std::size_t n = 1; n < 20'000; n *= 3)
        texts.emplace_back(n, 'x');
}

std::function<void()> const jobs[] = {
    log_something, resolve_something, tell_the_time, change_the_environment, allocate_something};

// Threads that do these jobs over and over: two, so that some processor is left for the children.
class busy
{
public:
    busy()
    {
        for (std::size_t first : {0, 2})
            threads_.emplace_back([this, first] {
                for (auto i = first; !stop_; ++i)
                    jobs[i % std::size(jobs)]();
            });
    }

    ~busy()
    {
        stop_ = true;
        for (auto& thread : threads_)
            thread.join();
    }

private:
    std::atomic<bool> stop_{false};
    std::vector<std::thread> threads_;
};

// The memory that only this process has, in pages.
long memory_of(pid_t pid)
{
    std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
    long size = 0;
    long resident = 0;
    long of_files = 0;
    file >> size >> resident >> of_files;
    return resident - of_files;
}

} // namespace

BOOST_FIXTURE_TEST_CASE(no_child_waits_for_a_lock_of_a_thread_and_nothing_is_left, nothing_left)
{
    ::setenv("SOCKETSERVER_TEST", "one", 1);
    support::logged const log;
    served_by_fork_server<> server([](stream& s) {
        for (auto const& job : jobs)
            job();
        s.wfile() << "done\n";
    });
    auto const process = server.fork_server();
    busy const threads;
    auto const serve = [&](int n) {
        // Some at once.
        std::array<std::optional<client_stream>, 4> clients;
        int done = 0;
        for (int i = 0; i < n; ++i)
        {
            auto& client = clients[static_cast<std::size_t>(i) % clients.size()];
            if (client && hear(*client) == "done")
                ++done;
            client.emplace(server.address());
        }
        for (auto& client : clients)
            if (client && hear(*client) == "done")
                ++done;
        return done;
    };

    BOOST_REQUIRE(serve(requests / 10) == requests / 10);
    BOOST_REQUIRE(eventually([&] { return server->active_children().empty(); }));
    auto const descriptors = descriptors_of(process).size();
    auto const memory = memory_of(process);

    BOOST_REQUIRE(serve(requests) == requests);
    BOOST_TEST(eventually([&] { return server->active_children().empty(); }));
    BOOST_TEST(descriptors_of(process).size() == descriptors);
    // One megabyte, which is half a kilobyte a request.  A sanitizer keeps what was freed.
    if (support::slowness == 1)
        BOOST_TEST(memory_of(process) - memory < (1 << 20) / ::getpagesize());
    BOOST_TEST(log.count("error: ") == 0);
    BOOST_TEST(log.count("warning: ") == 0);
}
