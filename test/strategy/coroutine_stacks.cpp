// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The stacks of coroutines: their size, their guards, and what happens where there are none.

#include <socketserver/strategy/coroutine_mixin.hpp>

#define BOOST_TEST_MODULE coroutine_stacks

#include "support/logged.hpp"
#include "support/matrix_cells.hpp"
#include "support/matrix_jobs.hpp"
#include "support/matrix_memory.hpp"

#include <socketserver/strategy/coroutine_scheduler.hpp>
#include <socketserver/strategy/coroutine_services.hpp>
#include <socketserver/strategy/preforking_mixin.hpp>
#include <socketserver/this_request.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

using namespace matrix;
using socketserver::coroutine_mixin;
using socketserver::preforking_mixin;
using socketserver::tcp_server;
namespace this_request = socketserver::this_request;
using coroutine = coroutine_mixin<tcp_server>;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

constexpr std::size_t KiB = 1024;

struct mapping
{
    std::uintptr_t begin;
    std::uintptr_t end;
    std::string may;
};

mapping mapping_of(void const* address)
{
    auto const at = reinterpret_cast<std::uintptr_t>(address);
    std::ifstream maps("/proc/self/maps");
    mapping m;
    for (char dash; maps >> std::hex >> m.begin >> dash >> m.end >> m.may; maps.ignore(1000, '\n'))
        if (m.begin <= at && at < m.end)
            return m;
    return {at, at, "nothing"};
}

// Tells how much stack there is from here down, and how much of a guard is below that.
void tells_its_stack(stream& s)
{
    char const here = 0;
    auto const stack = mapping_of(&here);
    auto const below = mapping_of(reinterpret_cast<void*>(stack.begin - 1));
    auto const depth = reinterpret_cast<std::uintptr_t>(&here) - stack.begin;
    auto const guard = below.may == "---p" ? below.end - below.begin : 0;
    // Others may have mapped something beside it.
    s.wfile() << (depth / KiB + 4) / 4 * 4 << ' ' << std::min(guard / KiB, std::size_t(64)) << '\n';
    std::string line;
    s.read_line(line);
}

// Uses so many bytes of the stack; gives what keeps the compiler from doing less.
__attribute__((noinline, no_sanitize("address", "undefined"))) int use(std::size_t bytes)
{
    char volatile frame[4 * KiB];
    frame[0] = static_cast<char>(bytes);
    if (bytes <= sizeof frame)
        return frame[0];
    return use(bytes - sizeof frame) + frame[0];
}

#if !defined(SOCKETSERVER_TEST_TSAN)
// Has all mappings that the system allows a process (vm.max_map_count), but for some.
class no_more_mappings
{
public:
    explicit no_more_mappings(std::size_t but)
        : memory_(static_cast<char*>(::mmap(
              nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)))
    {
        // Each second page is a mapping of its own, and so are those between them.
        for (auto* at = memory_; at < memory_ + size_; at += 2 * page_)
            if (::mprotect(at, page_, PROT_READ) < 0)
            {
                is_so_ = errno == ENOMEM;
                for (std::size_t i = 1; i <= but; ++i)
                    ::mprotect(at - i * 2 * page_, page_, PROT_NONE);
                break;
            }
    }

    no_more_mappings(no_more_mappings const&) = delete;
    no_more_mappings& operator=(no_more_mappings const&) = delete;

    ~no_more_mappings() { ::munmap(memory_, size_); }

    explicit operator bool() const { return is_so_; }

private:
    static constexpr std::size_t page_ = 4 * KiB;
    static constexpr std::size_t size_ = std::size_t(64) << 30;

    char* memory_;
    bool is_so_ = false;
};
#endif

// As a program does that has nothing to do with the test framework's handlers.
void fall_into_the_guard()
{
    std::signal(SIGSEGV, SIG_DFL);
    use(std::size_t(100) << 20);
}

} // namespace

BOOST_FIXTURE_TEST_CASE(they_are_of_256_KiB_above_a_guard, nothing_left)
{
    served_as<coroutine> server(tells_its_stack);
    auto client = server.client();
    BOOST_TEST(hear(client) == "256 64");
}

BOOST_FIXTURE_TEST_CASE(their_size_is_rounded_up_to_pages_and_at_least_64_KiB, nothing_left)
{
    served_as<coroutine> server(tells_its_stack, [](auto& s) { s.stack_size = 1; });
    std::vector<client_stream> clients;
    auto const next = [&](std::size_t size) {
        server->stack_size = size;
        clients.push_back(server.client());
        return hear(clients.back());
    };
    BOOST_TEST(next(1) == "64 64");
    BOOST_TEST(next(512 * KiB - 1) == "512 64");
    BOOST_TEST(next(64 * KiB + 1) == "68 64");
    // Those of the size before are not used again.
    clients.clear();
    BOOST_TEST(next(1024 * KiB) == "1024 64");
}

BOOST_FIXTURE_TEST_CASE(the_size_is_there_to_be_used, nothing_left)
{
    served_as<coroutine> server([](stream& s) { s.wfile() << use(900 * KiB) << '\n'; },
        [](auto& s) { s.stack_size = 1024 * KiB; });
    for (int i = 0; i < 3; ++i)
    {
        auto client = server.client();
        BOOST_TEST(hear(client) != the_end);
    }
}

BOOST_FIXTURE_TEST_CASE(they_are_used_again, nothing_left)
{
    served_as<coroutine> server(echo);
    auto const connections = [&](int n) {
        for (int i = 0; i < n; ++i)
        {
            // Until it has ended, or the next one would need another.
            auto client = server.client();
            BOOST_TEST(ask(client, "hello") == "hello");
            client.shutdown_send();
            BOOST_TEST(hear(client) == the_end);
        }
    };
    connections(10);
    auto const before = mappings_of_this_process();
    connections(200);
    BOOST_TEST(mappings_of_this_process() <= before + 10);
}

BOOST_FIXTURE_TEST_CASE(who_needs_more_dies_at_the_guard, nothing_left)
{
    process child([] {
        served_as<coroutine> server([](stream&) {
            static char other_stack[64 * KiB];
            static std::uintptr_t bottom;
            char const here = 0;
            bottom = mapping_of(&here).begin;
            stack_t const other{other_stack, 0, sizeof other_stack};
            ::sigaltstack(&other, nullptr);
            struct sigaction action
            {
            };
            action.sa_flags = SA_SIGINFO | SA_ONSTACK;
            action.sa_sigaction = [](int, siginfo_t* info, void*) {
                auto const at = reinterpret_cast<std::uintptr_t>(info->si_addr);
                ::_exit(at < bottom && at >= bottom - 64 * KiB ? 42 : 43);
            };
            ::sigaction(SIGSEGV, &action, nullptr);
            use(std::size_t(100) << 20);
        });
        auto client = server.client();
        hear(client);
    });
    BOOST_TEST(child.wait() == 42, child.errors());
}

BOOST_FIXTURE_TEST_CASE(a_worker_that_dies_so_is_replaced, nothing_left)
{
    served_as<preforking_mixin<coroutine>> server(
        [](stream& s) {
            for (std::string line; s.read_line(line);)
            {
                if (line == "recurse")
                    fall_into_the_guard();
                s.wfile() << ::getpid() << '\n';
            }
        },
        [](auto& s) { s.workers = 1; });
    auto other = server.client();
    auto const first = ask(other, "who?");
    {
        auto client = server.client();
        boost::system::error_code ec;
        say(client, "recurse");
        char byte;
        client.read_some(boost::asio::buffer(&byte, 1), ec);
        BOOST_TEST(ec.failed());
    }
    auto client = server.client();
    auto const second = ask(client, "who?");
    BOOST_TEST(second != the_end);
    BOOST_TEST(second != first);
}

// ThreadSanitizer needs mappings of its own.
#if !defined(SOCKETSERVER_TEST_TSAN)
BOOST_FIXTURE_TEST_CASE(where_the_system_has_no_more_mappings_they_run_without_guards, nothing_left)
{
    // In a process that has not said it yet.
    process child([] {
        constexpr int n = 20;
        support::logged log;
        job_server jobs;
        socketserver::coroutine_scheduler scheduler;
        int done = 0;
        no_more_mappings const none(5);
        for (int i = 0; i < n; ++i)
            scheduler.start(jobs.make_job([&] {
                use(200 * KiB);
                this_request::sleep_for(1ms);
                ++done;
            }));
        while (scheduler.size() != 0)
            scheduler.run();
        ::_exit(none && done == n && log.count("unguarded stacks") == 1 ? 42 : 43);
    });
    BOOST_TEST(child.wait() == 42, child.errors());
}
#endif

BOOST_FIXTURE_TEST_CASE(where_no_more_guards_are_to_be_had_the_others_run_without, nothing_left)
{
    support::logged log;
    job_server jobs;
    socketserver::coroutine_services services;
    services.guards = 3;
    socketserver::coroutine_scheduler scheduler(&services);
    std::map<bool, int> guarded;
    auto const run = [&](int n) {
        for (int i = 0; i < n; ++i)
            scheduler.start(jobs.make_job([&] {
                char const here = 0;
                auto const below = mapping_of(&here).begin - 1;
                ++guarded[mapping_of(reinterpret_cast<void*>(below)).may == "---p"];
                use(200 * KiB);
                this_request::sleep_for(20ms);
            }));
        BOOST_TEST(scheduler.size() == static_cast<std::size_t>(n));
        while (scheduler.size() != 0)
            scheduler.run();
    };
    run(20);
    // One without may lie above the guard of another.
    BOOST_TEST(guarded[true] >= 3);
    BOOST_TEST(guarded[false] >= 16);
    BOOST_TEST(log.count("unguarded stacks") == 1);
    // All are used again.
    auto const before = mappings_of_this_process();
    run(20);
    BOOST_TEST(mappings_of_this_process() <= before + 10);
    BOOST_TEST(services.guards == 0);
    BOOST_TEST(log.count("unguarded stacks") == 1);
}
