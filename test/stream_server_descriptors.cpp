// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What a server of connections does with descriptors: its own, those of its clients, and too few.

#include <socketserver/stream_server.hpp>

#define BOOST_TEST_MODULE stream_server_descriptors
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/client.hpp"
#include "support/descriptors.hpp"
#include "support/folder.hpp"
#include "support/logged.hpp"
#include "support/sent_along.hpp"
#include "support/served.hpp"

#include <socketserver/ready.hpp>
#include <socketserver/strategy/coroutine_mixin.hpp>
#include <socketserver/strategy/threading_mixin.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <optional>
#include <ostream>
#include <poll.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace socketserver;
using namespace std::literals;
using support::client;
using support::served;

namespace {

void echo(stream& s)
{
    for (std::string line; s.read_line(line);)
        s.wfile() << line << '\n';
}

// To look at memory, that sanitizer opens a pipe, and takes its absence for a fault of the program.
boost::test_tools::assertion_result without_vptr_sanitizer(boost::unit_test::test_unit_id)
{
    boost::test_tools::assertion_result result(
        ::dlsym(RTLD_DEFAULT, "__ubsan_vptr_type_cache") == nullptr);
    result.message() << "the sanitizer needs descriptors of its own";
    return result;
}

bool is_close_on_exec(int descriptor)
{
    return (::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0;
}

// Sends descriptors along with each part of a line; gives whether the server has kept one.
template <class Server>
bool keeps_what_is_passed_along(void (*handle)(stream&))
{
    support::folder const folder;
    served<Server> server(support::unix_endpoint(folder / "s"), handle);
    auto c = server.connect();
    support::given_away pipe;
    std::array const both{pipe.descriptor(), pipe.descriptor()};
    for (auto const* const part : {"take ", "these", "\n"})
        BOOST_TEST(support::send_along(c.descriptor(), part, SCM_RIGHTS, both));
    BOOST_TEST(c.line() == "take these");
    // Here and nowhere else, although the request goes on.
    return !pipe.is_closed_elsewhere();
}

void echo_by_parts(stream& s)
{
    std::string line;
    for (char a[3], b[3]; !line.ends_with('\n');)
    {
        auto const n = s.read_some(std::array{asio::buffer(a), asio::buffer(b)});
        line += (std::string(a, 3) + std::string(b, 3)).substr(0, n);
    }
    s.send_all(line);
    s.read_line(line);
}

} // namespace

BOOST_AUTO_TEST_CASE(its_descriptors_are_close_on_exec)
{
    std::atomic<bool> accepted{false};
    served<ready<tcp_server>> server(
        "127.0.0.1:0", [&](stream& s) { accepted = is_close_on_exec(s.native_handle()); });
    BOOST_TEST(is_close_on_exec(server->fileno()));
    BOOST_TEST(server.connect().sees_end());
    BOOST_TEST(accepted);
}

BOOST_AUTO_TEST_CASE(an_adopted_one_is_close_on_exec)
{
    asio::io_context context;
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    ready<tcp_server> const server(std::move(acceptor), echo);
    BOOST_TEST(is_close_on_exec(server.fileno()));
}

BOOST_AUTO_TEST_CASE(those_that_a_unix_client_passes_along_do_not_stay_open)
{
    using threading = ready<threading_mixin<unix_stream_server>>;
    using coroutine = ready<coroutine_mixin<unix_stream_server>>;
    BOOST_TEST(!keeps_what_is_passed_along<threading>(echo));
    BOOST_TEST(!keeps_what_is_passed_along<threading>(echo_by_parts));
    BOOST_TEST(!keeps_what_is_passed_along<coroutine>(echo));
    BOOST_TEST(!keeps_what_is_passed_along<coroutine>(echo_by_parts));
}

BOOST_AUTO_TEST_CASE(out_of_descriptors_it_neither_spins_nor_loses_a_client,
    *boost::unit_test::precondition(without_vptr_sanitizer))
{
    support::logged log;
    constexpr std::size_t room = 3;
    constexpr std::size_t count = 8;
    std::atomic<clockid_t> clock{};
    std::atomic<bool> has_clock{false};

    class timed : public threading_mixin<tcp_server>
    {
    public:
        timed(std::atomic<clockid_t>& clock, std::atomic<bool>& has_clock)
            : threading_mixin("127.0.0.1:0", echo)
            , clock_(clock)
            , has_clock_(has_clock)
        {
        }

        std::optional<accepted> get_request() override
        {
            if (!has_clock_)
            {
                clockid_t own;
                ::pthread_getcpuclockid(::pthread_self(), &own);
                clock_ = own;
                has_clock_ = true;
            }
            return threading_mixin::get_request();
        }

    private:
        std::atomic<clockid_t>& clock_;
        std::atomic<bool>& has_clock_;
    };

    // They wait at the listener before there is a loop.
    ready<timed> server(clock, has_clock);
    std::vector<client> clients;
    for (std::size_t i = 0; i < count; ++i)
    {
        clients.emplace_back(server.server_address());
        clients.back().send("hello\n");
    }
    // From now on there is room for a few descriptors more.
    std::vector<int> next;
    for (std::size_t i = 0; i < room; ++i)
        next.push_back(::fcntl(server.fileno(), F_DUPFD_CLOEXEC, 0));
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit const few{static_cast<rlim_t>(next.back()) + 1, before.rlim_max};
    for (int const fd : next)
        ::close(fd);
    struct limited
    {
        rlimit before;
        ~limited() { ::setrlimit(RLIMIT_NOFILE, &before); }
    } const limit{before};
    BOOST_TEST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);

    support::beside loop([&] { server.serve_forever(1h); });
    std::size_t served = 0;
    for (; served < room; ++served)
        BOOST_TEST(clients.at(served).line() == "hello");
    BOOST_TEST(log.wait_for("warning: "));
    auto const used = [&] {
        timespec t{};
        ::clock_gettime(clock, &t);
        return t.tv_sec * 1s + t.tv_nsec * 1ns;
    };
    auto const at_first = used();
    ::poll(nullptr, 0, 300);
    BOOST_TEST((used() - at_first < 60ms));
    for (auto i = served; i < count; ++i)
        BOOST_TEST(clients.at(i).hears_nothing());

    // One goes, one comes, and at once.
    for (; served < count; ++served)
    {
        auto const begin = std::chrono::steady_clock::now();
        // Only the server's end of it: the number stays taken by the test.
        clients.at(served - room).end();
        BOOST_TEST(clients.at(served - room).sees_end());
        BOOST_TEST(clients.at(served).line() == "hello");
        BOOST_TEST((std::chrono::steady_clock::now() - begin < 250ms));
    }
    BOOST_TEST(log.count("warning: ") == 1u);
    for (auto& c : clients)
        c.end();
    server.shutdown();
    loop.get();
}
