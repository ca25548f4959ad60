// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Waits outside of any request, and in coroutines; matrix_waits has those of every strategy.

#include <socketserver/this_request.hpp>

#define BOOST_TEST_MODULE this_request

#include "support/lasts.hpp"
#include "support/matrix_cells.hpp"
#include "support/matrix_threads.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/connect_pipe.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <exception>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <type_traits>
#include <unistd.h>
#include <vector>

using namespace matrix;
namespace asio = boost::asio;
namespace error = boost::asio::error;
namespace this_request = socketserver::this_request;
using boost::system::error_code;
using socketserver::active_request;

namespace {

void await_timer(asio::any_io_executor const& executor)
{
    asio::steady_timer timer(executor);
    this_request::await([&](auto token) { return timer.async_wait(token); });
}

// The thread that completes operations is one of those that are made once and kept.
struct first_await : first_use
{
    first_await() { await_timer(this_request::get_executor()); }
};

// An operation that gives its handler some values, in the thread of an executor.
template <class... Given>
auto operation_in(asio::any_io_executor const& executor, Given... given)
{
    return [=](auto token) {
        return asio::async_initiate<decltype(token), void(Given...)>(
            [=](auto handler) {
                asio::post(executor, [handler = std::move(handler), given...]() mutable {
                    std::move(handler)(std::move(given)...);
                });
            },
            token);
    };
}

template <class... Given>
auto operation_with(Given... given)
{
    return operation_in(this_request::get_executor(), given...);
}

// An operation whose handler is destroyed without being called.
auto const abandoned = [](auto token) {
    return asio::async_initiate<decltype(token), void(error_code, int)>(
        [](auto handler) { [[maybe_unused]] auto const gone = std::move(handler); }, token);
};

std::string what_of(std::function<void()> const& f)
{
    try
    {
        f();
        return "nothing";
    }
    catch (...)
    {
        return text_of(std::current_exception());
    }
}

std::string const aborted = make_error_code(error::operation_aborted).message();

} // namespace

BOOST_TEST_GLOBAL_FIXTURE(first_await);

BOOST_AUTO_TEST_CASE(sleeping_takes_its_time)
{
    support::check_lasts(100ms, [] { this_request::sleep_for(100ms); });
    this_request::sleep_for(0ms);
    this_request::sleep_for(-1h);
    error_code ec = error::eof;
    this_request::sleep_for(1ns, ec);
    BOOST_TEST(!ec);
}

BOOST_AUTO_TEST_CASE(a_blocking_function_is_simply_called)
{
    auto const thread = ::gettid();
    BOOST_TEST(this_request::blocking([] { return ::gettid(); }) == thread);
    int n = 0;
    this_request::blocking([&] { ++n; });
    BOOST_TEST(n == 1);
    static_assert(
        std::is_same_v<decltype(this_request::blocking([&]() -> int& { return n; })), int&>);
    ++this_request::blocking([&]() -> int& { return n; });
    BOOST_TEST(n == 2);
    BOOST_TEST(*this_request::blocking([] { return std::make_unique<int>(3); }) == 3);
    BOOST_TEST(what_of([] { this_request::blocking([] { throw 42; }); }) == "42");
}

BOOST_AUTO_TEST_CASE(an_error_code_is_no_result)
{
    static_assert(std::is_void_v<decltype(this_request::await(operation_with(error_code())))>);
    this_request::await(operation_with(error_code()));
    BOOST_TEST(what_of([] { this_request::await(operation_with(error_code(error::eof))); }) ==
               error_code(error::eof).message());
    error_code ec;
    this_request::await(operation_with(error_code(error::eof)), ec);
    BOOST_CHECK(ec == error::eof);
    this_request::await(operation_with(error_code()), ec);
    BOOST_TEST(!ec);
}

BOOST_AUTO_TEST_CASE(one_result_is_a_value_and_several_are_a_tuple)
{
    BOOST_TEST(this_request::await(operation_with(error_code(), 1)) == 1);
    BOOST_TEST(this_request::await(operation_with(std::string("text"))) == "text");
    BOOST_CHECK(this_request::await(operation_with(1, std::string("text"))) ==
                std::tuple(1, std::string("text")));
    error_code ec;
    BOOST_CHECK(this_request::await(operation_with(error_code(error::eof), 1, 'c'), ec) ==
                std::tuple(1, 'c'));
    BOOST_CHECK(ec == error::eof);
    this_request::await(operation_with());
}

BOOST_AUTO_TEST_CASE(an_exception_is_thrown)
{
    auto const thrown = std::make_exception_ptr(std::runtime_error("thrown"));
    error_code ec;
    BOOST_TEST(what_of([&] { this_request::await(operation_with(thrown, 1)); }) == "thrown");
    BOOST_TEST(what_of([&] { this_request::await(operation_with(thrown), ec); }) == "thrown");
    BOOST_TEST(this_request::await(operation_with(std::exception_ptr(), 1)) == 1);
}

BOOST_AUTO_TEST_CASE(one_that_is_never_completed_is_aborted)
{
    BOOST_TEST(what_of([] { this_request::await(abandoned); }) == aborted);
    error_code ec;
    BOOST_TEST(this_request::await(abandoned, ec) == 0);
    BOOST_CHECK(ec == error::operation_aborted);
}

BOOST_AUTO_TEST_CASE(what_begins_an_operation_may_throw)
{
    asio::steady_timer timer(this_request::get_executor(), 1h);
    // The operation that it has begun is cancelled, and has ended before the exception is seen.
    BOOST_TEST(what_of([&] {
        this_request::await([&](auto token) {
            auto operation = timer.async_wait(token);
            throw std::runtime_error("thrown");
            return operation;
        });
    }) == "thrown");
    BOOST_TEST(timer.cancel() == 0);
}

BOOST_AUTO_TEST_CASE(operations_of_many_steps_end_once)
{
    asio::readable_pipe in(this_request::get_executor());
    asio::writable_pipe out(this_request::get_executor());
    asio::connect_pipe(in, out);
    std::thread writes([&] {
        for (char const c : std::string("hello"))
            asio::write(out, asio::buffer(&c, 1));
    });
    std::string text(5, '\0');
    auto const n = this_request::await(
        [&](auto token) { return asio::async_read(in, asio::buffer(text), token); });
    writes.join();
    BOOST_TEST(n == 5);
    BOOST_TEST(text == "hello");
}

BOOST_AUTO_TEST_CASE(an_operation_may_belong_to_another_context)
{
    asio::io_context context;
    auto const work = asio::make_work_guard(context);
    std::thread runs([&] { context.run(); });
    BOOST_TEST(this_request::await(operation_in(context.get_executor(), 1)) == 1);
    await_timer(context.get_executor());
    context.stop();
    runs.join();
}

BOOST_FIXTURE_TEST_CASE(a_forked_process_awaits_with_a_thread_of_its_own, nothing_left)
{
    process child([] {
        if (threads_of() != 1)
            throw std::runtime_error("there is a thread already");
        await_timer(this_request::get_executor());
        if (threads_of() != 2)
            throw std::runtime_error("who has completed it?");
    });
    BOOST_TEST(child.wait() == 0, child.errors());
    await_timer(this_request::get_executor());
}

BOOST_FIXTURE_TEST_CASE(many_sleep_at_once, nothing_left)
{
    served server(cell_of("coroutine"), [](stream& s) {
        this_request::sleep_for(300ms);
        s.wfile() << "good morning\n";
    });
    std::vector<client_stream> clients;
    for (int i = 0; i < 200; ++i)
        clients.push_back(server.client());
    auto const took = duration_of([&] {
        for (auto& client : clients)
            BOOST_TEST(hear(client) == "good morning");
    });
    BOOST_TEST(took < 10s);
}

BOOST_FIXTURE_TEST_CASE(two_that_await_in_their_catch_blocks_keep_their_exceptions, nothing_left)
{
    served server(cell_of("coroutine"), [](stream& s) {
        std::string line;
        s.read_line(line);
        try
        {
            throw std::runtime_error(line);
        }
        catch (std::exception const& e)
        {
            await_timer(s.get_executor());
            this_request::blocking([] {
                try
                {
                    throw 1;
                }
                catch (int)
                {
                }
            });
            this_request::sleep_for(line == "a" ? 30ms : 1ms);
            s.wfile() << e.what() << ' ' << text_of(std::current_exception()) << '\n';
        }
    });
    auto a = server.client();
    auto b = server.client();
    say(a, "a");
    say(b, "b");
    BOOST_TEST(hear(a) == "a a");
    BOOST_TEST(hear(b) == "b b");
}

BOOST_FIXTURE_TEST_CASE(
    a_blocking_function_runs_in_another_thread_for_the_same_request, nothing_left)
{
    served server(cell_of("coroutine"), [](stream& s) {
        auto const* const request = active_request::current();
        auto const thread = ::gettid();
        this_request::blocking(
            [&] { s.wfile() << (::gettid() != thread) << (active_request::current() == request); });
        s.wfile() << (::gettid() == thread) << (active_request::current() == request) << '\n';
    });
    auto client = server.client();
    BOOST_TEST(hear(client) == "1111");
}

BOOST_FIXTURE_TEST_CASE(at_most_16_threads_block_and_the_others_wait_for_them, nothing_left)
{
    gate begun;
    gate go_on;
    std::mutex mutex;
    std::set<pid_t> threads;
    served server(cell_of("coroutine"), [&](stream& s) {
        std::string line;
        while (s.read_line(line))
        {
            if (line == "block")
                this_request::blocking([&] {
                    begun.open();
                    go_on.wait();
                    std::lock_guard const lock(mutex);
                    threads.insert(::gettid());
                });
            s.wfile() << line << '\n';
        }
    });
    std::vector<client_stream> clients;
    for (int i = 0; i < 40; ++i)
    {
        clients.push_back(server.client());
        say(clients.back(), "block");
    }
    for (int i = 0; i < 16; ++i)
        BOOST_TEST(begun.wait());
    // Who only wants its stream is served meanwhile.
    auto other = server.client();
    BOOST_TEST(ask(other, "hello") == "hello");
    BOOST_TEST(!begun.wait(0s));
    for (int i = 0; i < 40; ++i)
        go_on.open();
    for (auto& client : clients)
        BOOST_TEST(hear(client) == "block");
    BOOST_TEST(threads.size() <= 16);
}

BOOST_FIXTURE_TEST_CASE(an_abort_waits_for_a_blocking_function, nothing_left)
{
    gate begun;
    gate go_on;
    std::atomic<bool> ended{false};
    served server(cell_of("coroutine"), [&](stream&) {
        this_request::blocking([&] {
            begun.open();
            go_on.wait();
            ended = true;
        });
    });
    auto client = server.client();
    BOOST_TEST(begun.wait());
    server.server().request_abort();
    std::thread ends([&] { server.server().end_requests(); });
    // The stream is ended at once, and the request when it can.
    BOOST_TEST(hear(client) == the_end);
    BOOST_TEST(!ended);
    go_on.open();
    ends.join();
    BOOST_TEST(ended);
    server.end();
    BOOST_TEST(server.seen().last_error.read() == aborted);
}

BOOST_FIXTURE_TEST_CASE(a_blocking_function_without_a_thread_is_an_error, nothing_left)
{
    served server(cell_of("coroutine"), [](stream& s) {
        for (std::string line; s.read_line(line);)
            try
            {
                s.wfile() << this_request::blocking([] { return "called"; }) << '\n';
            }
            catch (std::system_error const&)
            {
                s.wfile() << "no thread\n";
            }
    });
    auto client = server.client();
    {
        no_more_threads const none;
        BOOST_TEST(ask(client, "?") == "no thread");
    }
    BOOST_TEST(ask(client, "?") == "called");
}

BOOST_FIXTURE_TEST_CASE(a_blocking_function_may_end_its_thread, nothing_left)
{
    served server(cell_of("coroutine"), [](stream& s) {
        s.wfile() << what_of([] { this_request::blocking([] { ::pthread_exit(nullptr); }); })
                  << '\n';
        s.wfile() << this_request::blocking([] { return "another"; }) << '\n';
    });
    auto client = server.client();
    BOOST_TEST(hear(client) == "this_request::blocking: the function has ended its thread");
    BOOST_TEST(hear(client) == "another");
}

BOOST_FIXTURE_TEST_CASE(an_abort_and_the_end_of_a_wait_may_meet, nothing_left)
{
    for (int i = 0; i < 50; ++i)
    {
        settings set;
        set.drain_timeout = 0s;
        served server(
            cell_of("coroutine"),
            [](stream& s) {
                s.wfile() << "begun\n";
                for (;;)
                {
                    await_timer(s.get_executor());
                    this_request::blocking([] {});
                    this_request::sleep_for(1us);
                }
            },
            set);
        std::vector<client_stream> clients;
        for (int n = 0; n < 4; ++n)
        {
            clients.push_back(server.client());
            BOOST_TEST(hear(clients.back()) == "begun");
        }
        server.end();
    }
}
