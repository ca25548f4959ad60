// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Waiting in a handler for something else than its stream.

#define BOOST_TEST_MODULE waiting
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"

#include <socketserver.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <fstream>
#include <istream>
#include <iterator>
#include <memory>
#include <ostream>
#include <string>
#include <thread>

namespace asio = boost::asio;
namespace data = boost::unit_test::data;
using namespace socketserver;
using namespace std::chrono_literals;
using support::client;

namespace {

// tag::sleep[]
class countdown : public stream_request_handler
{
    void handle() override
    {
        for (int i = 3; i > 0; --i)
        {
            wfile() << i << "...\n"; // sent before the wait
            this_request::sleep_for(10ms);
        }
        wfile() << "go\n";
    }
};
// end::sleep[]

// tag::blocking[]
class librarian : public stream_request_handler
{
    void handle() override
    {
        for (std::string name; std::getline(rfile(), name);)
        {
            auto const size = this_request::blocking([&] {
                std::ifstream book(name);
                return std::distance(std::istreambuf_iterator<char>(book), {});
            });
            wfile() << size << '\n';
        }
    }
};
// end::blocking[]

// tag::await[]
class proxy : public stream_request_handler
{
public:
    explicit proxy(asio::ip::tcp::endpoint behind)
        : behind_(behind)
    {
    }

private:
    void handle() override
    {
        using this_request::await;
        asio::ip::tcp::socket other(this_request::get_executor()); // <1>
        await([&](auto token) { return other.async_connect(behind_, token); });
        for (char buffer[4096];;)
        {
            boost::system::error_code ec;
            auto const n = await( // <2>
                [&](auto token) { return other.async_read_some(asio::buffer(buffer), token); }, ec);
            wfile().write(buffer, static_cast<std::streamsize>(n));
            if (ec == asio::error::eof)
                return;
            if (ec)
                throw boost::system::system_error(ec);
        }
    }

    asio::ip::tcp::endpoint behind_;
};
// end::await[]

// What is made once and kept is made before a test counts.
struct first_await
{
    first_await()
    {
        asio::steady_timer timer(this_request::get_executor());
        this_request::await([&](auto token) { return timer.async_wait(token); });
    }
};

struct running
{
    running(char const* strategy, handler_factory<stream> handlers)
        : server(make_server<tcp_server>(strategy, "127.0.0.1:0", std::move(handlers)))
        , loop([this] { server->serve_forever(); })
    {
    }

    ~running()
    {
        server->shutdown();
        loop.join();
    }

    std::unique_ptr<base_server> server;
    std::thread loop;
};

} // namespace

BOOST_TEST_GLOBAL_FIXTURE(first_await);

BOOST_DATA_TEST_CASE(every_strategy_can_wait, data::make({"synchronous", "threading", "coroutine"}))
{
    running s(sample, handler<countdown>);
    BOOST_TEST(client(s.server->server_address()).all() == "3...\n2...\n1...\ngo\n");
}

BOOST_DATA_TEST_CASE(what_blocks_is_told_so, data::make({"threading", "coroutine"}))
{
    running s(sample, handler<librarian>);
    client c(s.server->server_address());
    c.send("/dev/null\n");
    BOOST_TEST(c.line() == "0");
}

BOOST_DATA_TEST_CASE(asios_operations_are_awaited, data::make({"threading", "coroutine"}))
{
    running behind("threading", handler<countdown>);
    auto const port = behind.server->server_address().port();
    asio::ip::tcp::endpoint const at(asio::ip::make_address("127.0.0.1"), port);
    running s(sample, handler<proxy>(at));
    BOOST_TEST(client(s.server->server_address()).all() == "3...\n2...\n1...\ngo\n");
}
