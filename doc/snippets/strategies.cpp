// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The strategy, by type and by text, for handlers and for a server class of one's own.

#define BOOST_TEST_MODULE strategies
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"

#include <socketserver.hpp>

#include <istream>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace data = boost::unit_test::data;
using namespace socketserver;
using support::client;

namespace {

class greeter : public stream_request_handler
{
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line);)
            wfile() << "hello, " << line << '\n';
    }
};

// tag::own[]
class quiet_server : public tcp_server
{
public:
    quiet_server(endpoint address, handler_factory<stream> handlers)
        : tcp_server(std::move(address), std::move(handlers))
    {
        request_queue_size = 100;
    }

protected:
    void handle_error(stream&, endpoint const& client_address, std::exception_ptr) override
    {
        log(log_severity::warning, client_address.str() + ": something went wrong");
    }
};
// end::own[]

// tag::outermost[]
template <class Server> // with its strategy
class noting_stops : public Server
{
public:
    using Server::Server;

private:
    void server_stopping() override
    {
        Server::server_stopping(); // also what the strategy does
        log(log_severity::warning, "stopping");
    }
};

template <class Server>
using ready_noting_stops = ready<noting_stops<Server>>;
// end::outermost[]

void check_greets(base_server& server)
{
    std::thread loop([&] { server.serve_forever(); });
    client one(server.server_address());
    client two(server.server_address());
    one.send("you\n");
    one.end();
    two.send("world\n");
    two.end();
    BOOST_TEST(one.all() == "hello, you\n");
    BOOST_TEST(two.all() == "hello, world\n");
    server.shutdown();
    loop.join();
}

} // namespace

BOOST_AUTO_TEST_CASE(by_type)
{
    // tag::types[]
    synchronous_tcp_server a("127.0.0.1:0", handler<greeter>);
    threading_tcp_server b("127.0.0.1:0", handler<greeter>);
    thread_pool_tcp_server c("127.0.0.1:0", handler<greeter>);
    forking_tcp_server d("127.0.0.1:0", handler<greeter>);
    coroutine_tcp_server e("127.0.0.1:0", handler<greeter>);
    preforking_tcp_server f("127.0.0.1:0", handler<greeter>);
    ready<preforking_mixin<coroutine_mixin<tcp_server>>> g("127.0.0.1:0", handler<greeter>);
    // end::types[]
    for (base_server* server : std::initializer_list<base_server*>{&a, &b, &c, &d, &e, &f, &g})
        check_greets(*server);
}

BOOST_DATA_TEST_CASE(by_text, data::make({"synchronous", "threading:50", "thread-pool:16",
                                  "forking", "coroutine", "preforking:2/coroutine"}))
{
    std::string const text = sample;
    // tag::text[]
    std::unique_ptr<base_server> const server =
        make_server<tcp_server>(text, "127.0.0.1:0", handler<greeter>);
    // end::text[]
    check_greets(*server);
}

BOOST_AUTO_TEST_CASE(by_text_with_attributes)
{
    std::string const text = "threading";
    // tag::configured[]
    auto const server = make_server<tcp_server>(text, configured([](auto& s) {
        s.request_queue_size = 100;                // read when the server is bound
        if constexpr (requires { s.max_threads; }) // not every strategy has it
            s.max_threads = 50;                    // unless the text has a number
    }),
        "127.0.0.1:0", handler<greeter>);
    // end::configured[]
    check_greets(*server);
}

BOOST_AUTO_TEST_CASE(not_every_strategy)
{
    std::string const text = "threading";
    // tag::refuse[]
    strategy const chosen = text;
    if (chosen.forks())
        throw std::invalid_argument("'" + text + "': processes have no room in common");
    // end::refuse[]
}

BOOST_AUTO_TEST_CASE(hooks_around_the_strategy)
{
    // tag::outermost-server[]
    auto const server =
        make_server<tcp_server, ready_noting_stops>("threading", "127.0.0.1:0", handler<greeter>);
    // end::outermost-server[]
    check_greets(*server);
}

BOOST_AUTO_TEST_CASE(a_text_that_names_none_is_an_error_that_lists_them)
{
    BOOST_CHECK_THROW(
        make_server<tcp_server>("threads", "127.0.0.1:0", handler<greeter>), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(a_class_of_ones_own_by_text)
{
    // tag::own-server[]
    auto const server =
        make_server<quiet_server>("preforking:2/threading", "127.0.0.1:0", handler<greeter>);
    // end::own-server[]
    check_greets(*server);
}
