// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// A counter that the processes of a server share.

#define BOOST_TEST_MODULE shared_memory
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"

#include <socketserver.hpp>

// tag::all[]
#include <boost/interprocess/anonymous_shared_memory.hpp>

#include <atomic>
#include <new>
#include <ostream>
#include <thread>

using namespace socketserver;

class counting : public stream_request_handler
{
public:
    explicit counting(std::atomic<int>& visits)
        : visits_(visits)
    {
    }

private:
    void handle() override { wfile() << "you are visitor " << ++visits_ << '\n'; }

    std::atomic<int>& visits_;
};
// end::all[]

BOOST_AUTO_TEST_CASE(children_count_together)
{
    // tag::server[]
    auto const page = boost::interprocess::anonymous_shared_memory(sizeof(std::atomic<int>));
    auto& visits = *new (page.get_address()) std::atomic<int>(0); // before any fork
    static_assert(std::atomic<int>::is_always_lock_free);
    forking_tcp_server server("127.0.0.1:0", handler<counting>(std::ref(visits)));
    // end::server[]
    std::thread loop([&] { server.serve_forever(); });
    using support::client;
    BOOST_TEST(client(server.server_address()).all() == "you are visitor 1\n");
    BOOST_TEST(client(server.server_address()).all() == "you are visitor 2\n");
    server.shutdown();
    loop.join();
    BOOST_TEST(visits == 2);
}
