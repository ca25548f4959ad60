// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/memory_datagram.hpp>

#define BOOST_TEST_MODULE memory_datagram
#include <boost/test/unit_test.hpp>

#include "support/descriptors.hpp"

#include <socketserver/datagram_server.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/request_handler.hpp>

#include <boost/system/system_error.hpp>

#include <istream>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>

namespace asio = boost::asio;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;

namespace {

endpoint const ann("192.0.2.1:50000");
endpoint const bob("[2001:db8::1]:50001");

// Answers at once, tells Bob, and answers again.
class gossip : public datagram_request_handler
{
    void handle() override
    {
        request().send("listen");
        request().send_to(bob, packet());
        std::string word;
        rfile() >> word;
        if (word == "throw")
            throw std::runtime_error("as asked");
        wfile() << "told " << client_address();
    }
};

struct fixture : support::no_descriptor_left
{
    void handle(memory_datagram& d) { server.finish_request(d, d.sender()); }

    ready<udp_server> server{defer_activation, "127.0.0.1:0", handler<gossip>};
    std::shared_ptr<memory_datagram::record> record = std::make_shared<memory_datagram::record>();
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(in_memory, fixture)

BOOST_AUTO_TEST_CASE(notes_what_is_sent_and_to_whom)
{
    memory_datagram d("a secret", ann, record);
    handle(d);
    BOOST_TEST_REQUIRE(record->sent.size() == 3u);
    BOOST_TEST(record->sent[0].to == ann);
    BOOST_TEST(record->sent[0].text == "listen");
    BOOST_TEST(record->sent[1].to == bob);
    BOOST_TEST(record->sent[1].text == "a secret");
    BOOST_TEST(record->sent[2].to == ann);
    BOOST_TEST(record->sent[2].text == "told 192.0.2.1:50000");
    BOOST_TEST(record->operations == 3u);
}

BOOST_AUTO_TEST_CASE(sends_an_empty_answer_when_told_to)
{
    memory_datagram d("", ann, record);
    d.send("");
    BOOST_TEST_REQUIRE(record->sent.size() == 1u);
    BOOST_TEST(record->sent[0].text == "");
}

BOOST_AUTO_TEST_CASE(answers_nobody_who_has_no_name)
{
    memory_datagram d("a secret", endpoint(), record);
    handle(d);
    BOOST_TEST_REQUIRE(record->sent.size() == 1u);
    BOOST_TEST(record->sent[0].to == bob);
}

BOOST_AUTO_TEST_CASE(passes_on_what_the_handler_throws)
{
    memory_datagram d("throw", ann, record);
    BOOST_CHECK_THROW(handle(d), std::runtime_error);
    BOOST_TEST(record->sent.size() == 2u);
}

BOOST_AUTO_TEST_CASE(every_sending_may_fail)
{
    for (std::size_t n = 1; n <= 3; ++n)
    {
        *record = {};
        memory_datagram d("a secret", ann, record, n, asio::error::message_size);
        BOOST_CHECK_EXCEPTION(handle(d), system_error,
            [](system_error const& e) { return e.code() == asio::error::message_size; });
        BOOST_TEST(record->sent.size() == n - 1);
        BOOST_TEST(record->operations == n);
    }
}

BOOST_AUTO_TEST_CASE(sends_nothing_after_an_abort)
{
    memory_datagram d("a secret", ann, record);
    d.abort();
    error_code ec;
    d.send("no", ec);
    BOOST_TEST(ec == asio::error::operation_aborted);
    BOOST_TEST(record->operations == 0u);
}

BOOST_AUTO_TEST_CASE(is_of_whom_and_how_long_the_test_says)
{
    memory_datagram d("a secret", ann);
    BOOST_TEST(!d.peer_credentials());
    BOOST_TEST(!d.truncated());
    d.vouch_for({1, 1000, 100});
    d.cut_off();
    BOOST_TEST(d.peer_credentials().value().uid == 1000u);
    BOOST_TEST(d.truncated());
    BOOST_TEST(d.native_handle() == -1);
    d.close();
    d.vouch_for({1, 1000, 100});
    BOOST_TEST(!d.peer_credentials());
}

BOOST_AUTO_TEST_SUITE_END()
