// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What goes wrong in a coroutine is found: by the sanitizers in their builds, although the system's
// Boost.Context knows nothing of them, and by the page below its stack in every build.

#define BOOST_TEST_MODULE sanitized

#include "support/matrix_cells.hpp"
#include "support/matrix_memory.hpp"

#include <socketserver/strategy/coroutine_mixin.hpp>

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

using namespace matrix;
using socketserver::coroutine_mixin;
using socketserver::tcp_server;
using coroutine = coroutine_mixin<tcp_server>;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// What the compiler must not see through.
template <class T>
[[gnu::noinline]] T hidden(T value)
{
    __asm__ __volatile__("" : "+r"(value) : : "memory");
    return value;
}

void must(bool holds, char const* what)
{
    if (!holds)
        throw std::runtime_error(what);
}

// Goes down, does something there, and comes back.
template <class Function>
[[gnu::noinline]] int down(int n, Function const& f)
{
    char volatile frame[1000];
    frame[hidden(0)] = static_cast<char>(n);
    if (n == 0)
        f();
    else
        down(hidden(n - 1), f);
    return frame[hidden(0)];
}

// The same, with more calls and less on the stack.
template <class Function>
[[gnu::noinline]] int far_down(int n, Function const& f)
{
    if (n != 0)
        return far_down(n - 1, f) + hidden(n);
    f();
    return 0;
}

// A process in which a coroutine does something between two waits, while another one waits.
template <class Function>
std::unique_ptr<process> in_a_coroutine(Function const& f)
{
    return std::make_unique<process>([&] {
        served_as<coroutine> server([&](stream& s) {
            for (std::string line; s.read_line(line);)
            {
                if (line == "do it")
                    f();
                s.wfile() << line << '\n';
            }
        });
        auto bystander = server.client();
        must(ask(bystander, "hello") == "hello", "no answer");
        auto client = server.client();
        must(ask(client, "hello") == "hello", "no answer");
        must(ask(client, "do it") == "do it", "no answer after it");
        must(ask(bystander, "still there?") == "still there?", "the other one is disturbed");
    });
}

} // namespace

BOOST_FIXTURE_TEST_CASE(an_orderly_coroutine_is_not_blamed, nothing_left)
{
    auto const whole = in_a_coroutine([] {
        std::vector<int> all(1000);
        int sum = 0;
        down(100, [&] { sum += all[hidden(999)]; });
        must(sum == 0, "wrong");
    });
    BOOST_TEST(whole->wait() == 0);
    BOOST_TEST(whole->errors() == "");
}

BOOST_FIXTURE_TEST_CASE(exceptions_across_waits_are_not_blamed, nothing_left)
{
    process whole([] {
        served_as<coroutine> server([](stream& s) {
            std::string line;
            // Waits far down, is unwound from there, and waits in its catch block.
            auto const wait = [&] {
                must(s.read_line(line), "the client has gone");
                s.wfile() << line << '\n';
            };
            for (int i = 0; i < 5; ++i)
                try
                {
                    try
                    {
                        down(60, [&] {
                            wait();
                            must(hidden(false), "thrown");
                        });
                    }
                    catch (std::exception const&)
                    {
                        wait();
                        // What lay below is used by others now.
                        down(80, wait);
                        throw;
                    }
                }
                catch (std::runtime_error const& e)
                {
                    down(70, wait);
                    must(e.what() == std::string("thrown"), "another one's exception");
                }
        });
        auto a = server.client();
        auto b = server.client();
        for (int i = 0; i < 5 * 4; ++i)
        {
            must(ask(a, "a") == "a", "no answer to a");
            must(ask(b, "b") == "b", "no answer to b");
        }
        must(hear(a) == the_end && hear(b) == the_end, "they do not end");
    });
    BOOST_TEST(whole.wait() == 0);
    BOOST_TEST(whole.errors() == "");
}

BOOST_FIXTURE_TEST_CASE(stacks_that_are_used_again_are_not_blamed, nothing_left)
{
    process whole([] {
        served_as<coroutine> server([](stream& s) {
            std::string line;
            s.read_line(line);
            // Each ends at another depth, some by an exception.
            down(static_cast<int>(line.size()), [&] {
                s.wfile() << line << '\n';
                if (line.size() % 2 != 0)
                    throw boost::system::system_error(
                        make_error_code(boost::asio::error::connection_reset));
            });
        });
        for (std::size_t i = 0; i < 100; ++i)
        {
            auto client = server.client();
            must(ask(client, std::string(i, 'x')) == std::string(i, 'x'), "no answer");
        }
    });
    BOOST_TEST(whole.wait() == 0);
    BOOST_TEST(whole.errors() == "");
}

BOOST_FIXTURE_TEST_CASE(many_that_wait_far_down_are_not_blamed, nothing_left)
{
    // More calls in all than ThreadSanitizer allows one thread.
    process whole([] {
        served_as<coroutine> server([](stream& s) { far_down(600, [&] { echo(s); }); });
        std::vector<client_stream> clients;
        for (int i = 0; i < 150; ++i)
        {
            clients.push_back(server.client());
            must(ask(clients.back(), "hello") == "hello", "no answer");
        }
        for (auto& client : clients)
            must(ask(client, "still there?") == "still there?", "no second answer");
    });
    BOOST_TEST(whole.wait() == 0);
    BOOST_TEST(whole.errors() == "");
}

BOOST_FIXTURE_TEST_CASE(a_coroutine_that_runs_over_its_stack_dies_there, nothing_left)
{
    auto const whole = in_a_coroutine([] { down(hidden(1'000'000), [] {}); });
    BOOST_TEST(whole->wait() == -SIGSEGV);
}

#if defined(SOCKETSERVER_TEST_ASAN)

BOOST_FIXTURE_TEST_CASE(a_write_past_an_array_on_the_stack_is_found, nothing_left)
{
    auto const whole = in_a_coroutine([] {
        char array[16] = {};
        hidden(&array[0])[hidden(16)] = 'x';
    });
    BOOST_TEST(whole->wait() != 0);
    BOOST_TEST(whole->errors().find("stack-buffer-overflow") != std::string::npos, whole->errors());
}

BOOST_FIXTURE_TEST_CASE(a_use_of_memory_that_was_freed_is_found, nothing_left)
{
    auto const whole = in_a_coroutine([] {
        auto object = std::make_unique<int>(1);
        int volatile* const gone = hidden(object.get());
        object.reset();
        *gone = 2;
    });
    BOOST_TEST(whole->wait() != 0);
    BOOST_TEST(whole->errors().find("heap-use-after-free") != std::string::npos, whole->errors());
}

#endif

#if defined(SOCKETSERVER_TEST_TSAN)

namespace {

// Two servers, whose coroutines run in a thread each, use a number at once.
template <class Use>
std::unique_ptr<process> in_two_threads(Use const& use)
{
    return std::make_unique<process>([&] {
        auto const handler = [&](stream& s) {
            for (std::string line; s.read_line(line);)
            {
                use();
                s.wfile() << line << '\n';
            }
        };
        served_as<coroutine> one(handler);
        served_as<coroutine> other(handler);
        auto a = one.client();
        auto b = other.client();
        for (int i = 0; i < 20; ++i)
        {
            say(a, "a");
            say(b, "b");
            must(hear(a) == "a" && hear(b) == "b", "no answer");
        }
    });
}

} // namespace

BOOST_FIXTURE_TEST_CASE(a_race_between_coroutines_of_two_threads_is_found, nothing_left)
{
    // For a while, because each socket that is used orders what happens in the two.
    int number = 0;
    auto const whole = in_two_threads([&] {
        for (int i = 0; i < 100'000; ++i)
            *hidden(&number) += 1;
    });
    BOOST_TEST(whole->wait() == 66);
    BOOST_TEST(whole->errors().find("data race") != std::string::npos, whole->errors());
}

BOOST_FIXTURE_TEST_CASE(coroutines_of_two_threads_that_take_turns_are_not_blamed, nothing_left)
{
    int number = 0;
    std::mutex mutex;
    auto const whole = in_two_threads([&] {
        std::lock_guard const lock(mutex);
        ++number;
    });
    BOOST_TEST(whole->wait() == 0);
    BOOST_TEST(whole->errors() == "");
}

BOOST_FIXTURE_TEST_CASE(coroutines_of_one_thread_do_not_race, nothing_left)
{
    process whole([] {
        int number = 0;
        served_as<coroutine> server([&](stream& s) {
            for (std::string line; s.read_line(line);)
                s.wfile() << ++number << '\n';
        });
        auto a = server.client();
        auto b = server.client();
        for (int i = 0; i < 20; ++i)
        {
            say(a, "");
            say(b, "");
            must(hear(a) != hear(b), "no turns");
        }
    });
    BOOST_TEST(whole.wait() == 0);
    BOOST_TEST(whole.errors() == "");
}

#endif
