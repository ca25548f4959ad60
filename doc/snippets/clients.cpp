// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The other side: a client, and one whose server has a name.

#define BOOST_TEST_MODULE clients
#include <boost/test/unit_test.hpp>

#include <socketserver.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <istream>
#include <ostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

using namespace socketserver;
using namespace std::chrono_literals;

namespace {

template <class Server>
class served
{
public:
    explicit served(handler_factory<stream> handlers)
        : server_("127.0.0.1:0", std::move(handlers))
        , loop_([this] { server_.serve_forever(); })
    {
    }

    ~served()
    {
        server_.shutdown();
        loop_.join();
    }

    endpoint const& address() const { return server_.server_address(); }

private:
    Server server_;
    std::thread loop_;
};

class greeter : public stream_request_handler
{
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line);)
            wfile() << "hello, " << line << '\n';
    }
};

// tag::ask[]
std::string ask(endpoint const& server, std::string const& question)
{
    stream s = connect(server, 5s); // the longest time that connecting may take
    s.timeout(2s);                  // and each wait from here on
    s.wfile() << question << '\n';
    std::string answer;
    if (!s.read_line(answer))
        throw std::runtime_error("the server has ended the conversation");
    return answer;
}
// end::ask[]

// tag::gateway[]
class gateway : public stream_request_handler
{
public:
    explicit gateway(endpoint behind)
        : behind_(std::move(behind))
    {
    }

private:
    void handle() override
    {
        boost::system::error_code ec;
        stream server = connect(behind_, 1s, ec);
        if (ec)
        {
            wfile() << "nobody is there: " << ec.message() << '\n';
            return;
        }
        for (std::string line; request().read_line(line);)
        {
            server.wfile() << line << '\n';
            if (!server.read_line(line))
                return;
            wfile() << line << '\n';
        }
    }

    endpoint behind_;
};
// end::gateway[]

// tag::resolve[]
stream connect_to_name(std::string const& host, std::string const& service)
{
    boost::asio::io_context context;
    boost::asio::ip::tcp::resolver resolver(context);
    boost::system::error_code ec = boost::asio::error::host_not_found;
    for (auto const& found : resolver.resolve(host, service))
        if (stream s = connect(found.endpoint(), 5s, ec); !ec)
            return s;
    throw boost::system::system_error(ec, "connect to " + host);
}
// end::resolve[]

} // namespace

BOOST_AUTO_TEST_CASE(a_client_asks)
{
    served<threading_tcp_server> s(handler<greeter>);
    BOOST_TEST(ask(s.address(), "you") == "hello, you");
}

BOOST_AUTO_TEST_CASE(a_handler_asks_another_server)
{
    served<threading_tcp_server> behind(handler<greeter>);
    served<coroutine_tcp_server> before(handler<gateway>(behind.address()));
    BOOST_TEST(ask(before.address(), "you") == "hello, you");
}

BOOST_AUTO_TEST_CASE(a_handler_finds_nobody)
{
    endpoint nobody;
    {
        threading_tcp_server const gone("127.0.0.1:0", handler<greeter>);
        nobody = gone.server_address();
    }
    served<coroutine_tcp_server> before(handler<gateway>(nobody));
    BOOST_TEST(ask(before.address(), "you").starts_with("nobody is there"));
}

BOOST_AUTO_TEST_CASE(a_name_is_looked_up_by_asio)
{
    served<threading_tcp_server> s(handler<greeter>);
    auto found = connect_to_name("localhost", std::to_string(s.address().port()));
    found.wfile() << "you\n";
    std::string answer;
    BOOST_TEST(found.read_line(answer));
    BOOST_TEST(answer == "hello, you");
}
