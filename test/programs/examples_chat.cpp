// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The example chat_server, from outside.

#define BOOST_TEST_MODULE programs_examples_chat
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "programs/examples.hpp"
#include "support/client.hpp"

#include <csignal>
#include <string>
#include <string_view>

namespace data = boost::unit_test::data;
using namespace examples;
using support::client;

namespace {

auto const strategies = data::make(words{"threading", "thread-pool", "coroutine"});

struct chat : served
{
    explicit chat(std::string const& strategy)
        : served("chat_server", {"--strategy", strategy})
    {
    }
};

// One who is in the room, and knows what the others call him.
struct guest
{
    explicit guest(chat const& room, int receive_buffer = 0)
        : connection(support::client_from("127.0.0.1:0", room.address, receive_buffer))
    {
        std::string_view const here = " is here.";
        name = connection.line();
        BOOST_REQUIRE(name.ends_with(here));
        name.resize(name.size() - here.size());
    }

    void says(std::string const& words) { connection.send(words + '\n'); }
    std::string hears() { return connection.line(); }

    client connection;
    std::string name;
};

} // namespace

BOOST_DATA_TEST_CASE(what_one_says_all_the_others_hear, strategies, strategy)
{
    chat room(strategy);
    guest ann(room);
    guest bob(room);
    BOOST_TEST(ann.hears() == bob.name + " is here.");
    guest eve(room);
    BOOST_TEST(ann.hears() == eve.name + " is here.");
    BOOST_TEST(bob.hears() == eve.name + " is here.");

    ann.says("good morning");
    BOOST_TEST(bob.hears() == ann.name + ": good morning");
    BOOST_TEST(eve.hears() == ann.name + ": good morning");
    bob.says("hello");
    // What she said herself she does not hear.
    BOOST_TEST(ann.hears() == bob.name + ": hello");
    BOOST_TEST(eve.hears() == bob.name + ": hello");

    bob.connection.end();
    BOOST_TEST(bob.connection.all() == "");
    BOOST_TEST(ann.hears() == bob.name + " is gone.");
    BOOST_TEST(eve.hears() == bob.name + " is gone.");
    eve.connection.reset();
    BOOST_TEST(ann.hears() == eve.name + " is gone.");
    ann.connection.end();
    room.check_ends();
}

BOOST_DATA_TEST_CASE(who_does_not_listen_is_hung_up_on_and_delays_nobody, strategies, strategy)
{
    chat room(strategy);
    guest deaf(room, 4096);
    guest ann(room);
    guest bob(room);
    ann.hears();
    std::string const speech(900, '.');
    auto const said = ann.name + ": " + speech;
    std::string heard = said;
    // More than the system holds for him.
    for (int i = 0; i < 50'000 && heard == said; ++i)
    {
        ann.says(speech);
        heard = bob.hears();
    }
    BOOST_TEST(heard == deaf.name + " is gone.");
    BOOST_TEST(ann.hears() == heard);
    BOOST_TEST(bob.hears() == said);
    // The other two talk on, and he finds himself outside.
    bob.says("at last");
    BOOST_TEST(ann.hears() == bob.name + ": at last");
    BOOST_TEST((deaf.connection.bytes(1 << 30), deaf.connection.sees_end()));
    ann.connection.end();
    bob.connection.end();
    room.check_ends();
}

BOOST_DATA_TEST_CASE(says_so_when_the_room_closes, strategies, strategy)
{
    chat room(strategy);
    guest ann(room);
    guest bob(room);
    ann.hears();
    room.server.signal(SIGTERM);
    BOOST_TEST(ann.hears() == "The room closes.");
    BOOST_TEST(bob.hears() == "The room closes.");
    // They may take leave of each other.
    bob.says("bye");
    BOOST_TEST(ann.hears() == bob.name + ": bye");
    ann.connection.end();
    BOOST_TEST(ann.connection.all() == "");
    bob.connection.end();
    BOOST_TEST(room.server.exit_status() == 0);
}

BOOST_DATA_TEST_CASE(throws_out_who_does_not_come_to_an_end, strategies, strategy)
{
    chat room(strategy);
    guest ann(room);
    guest bob(room);
    ann.hears();
    bob.connection.send(std::string(2000, '.'));
    BOOST_TEST(ann.hears() == bob.name + " is gone.");
    ann.connection.end();
    room.check_ends("Message too long");
}

BOOST_DATA_TEST_CASE(refuses_to_be_in_several_processes,
    data::make(words{"forking", "forking:3", "preforking", "preforking:2/threading",
        "preforking/forking", "fork-server"}),
    strategy)
{
    check_refused("chat_server", {"--strategy", strategy}, "'" + strategy + "'");
}
