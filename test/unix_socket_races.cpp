// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The file of a Unix socket where several are about it at once, or somebody is killed.

#define BOOST_TEST_MODULE unix_socket_races
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/descriptors.hpp"
#include "support/folder.hpp"
#include "support/matrix_process.hpp"
#include "support/matrix_shared.hpp"
#include "support/sanitizer.hpp"
#include "support/served.hpp"
#include "support/unix_servers.hpp"

#include <socketserver/servers.hpp>

#include <boost/system/system_error.hpp>

#include <atomic>
#include <barrier>
#include <csignal>
#include <fcntl.h>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <type_traits>
#include <unistd.h>
#include <utility>

namespace asio = boost::asio;
using boost::system::system_error;
using namespace socketserver;
using support::answer_of;
using support::beside;
using support::exists;
using support::leave_dead;
using support::says;
using support::type_of;
using support::unix_endpoint;
using support::unix_servers;

namespace {

constexpr int rounds = 200 / support::slowness;

struct fixture : support::no_descriptor_left, matrix::nothing_left
{
    support::folder folder;
    std::string const path = folder / "server";
    endpoint const address = unix_endpoint(path);

    // What a start finds: nothing, or what a dead server has left.
    void prepare(int round, int type) const
    {
        if (round % 2 == 0)
            leave_dead(path, type);
    }
};

// Starts a server; none where the address is taken.
template <class Server>
void try_to_start(
    std::optional<ready<Server>>& server, endpoint const& address, std::string const& name)
{
    try
    {
        server.emplace(address, says(name));
    }
    catch (system_error const& e)
    {
        if (e.code() != asio::error::address_in_use)
            throw;
    }
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(races, fixture)

BOOST_AUTO_TEST_CASE_TEMPLATE(of_two_threads_that_start_at_once_one_wins, Server, unix_servers)
{
    std::optional<ready<Server>> first;
    std::optional<ready<Server>> second;
    std::barrier begin(2);
    for (int i = 0; i < rounds; ++i)
    {
        prepare(i, type_of<Server>);
        beside other([&] {
            begin.arrive_and_wait();
            try_to_start<Server>(second, address, "second");
        });
        begin.arrive_and_wait();
        try_to_start<Server>(first, address, "first");
        other.get();
        BOOST_TEST_REQUIRE(first.has_value() != second.has_value());
        BOOST_TEST(answer_of(first ? *first : *second) == (first ? "first" : "second"));
        first.reset();
        second.reset();
        BOOST_TEST(!exists(path));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(of_two_processes_that_start_at_once_one_wins, Server, unix_servers)
{
    struct state
    {
        matrix::gate begin, tried, end, gone;
        std::atomic<int> won{0};
    };
    matrix::shared<state> s;
    auto const run = [&] {
        for (int i = 0; i < rounds; ++i)
        {
            if (!s->begin.wait())
                throw std::runtime_error("nobody begins");
            std::optional<ready<Server>> server;
            try_to_start<Server>(server, address, "me");
            s->won += server.has_value();
            s->tried.open();
            s->end.wait();
            server.reset();
            s->gone.open();
        }
    };
    auto const both = [](auto const& f) {
        f();
        f();
    };
    matrix::process first(run);
    matrix::process second(run);
    for (int i = 0; i < rounds; ++i)
    {
        prepare(i, type_of<Server>);
        s->won = 0;
        both([&] { s->begin.open(); });
        both([&] { BOOST_TEST_REQUIRE(s->tried.wait()); });
        BOOST_TEST(s->won == 1);
        BOOST_TEST(support::connecting(address, type_of<Server>) == 0);
        both([&] { s->end.open(); });
        both([&] { BOOST_TEST_REQUIRE(s->gone.wait()); });
        BOOST_TEST(!exists(path));
    }
    BOOST_TEST(first.wait() == 0, first.errors());
    BOOST_TEST(second.wait() == 0, second.errors());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_start_while_another_ends_spoils_nothing, Server, unix_servers)
{
    std::barrier begin(2);
    for (int i = 0; i < rounds; ++i)
    {
        std::optional<ready<Server>> old(std::in_place, address, says("old"));
        std::optional<ready<Server>> next;
        beside other([&] {
            begin.arrive_and_wait();
            old.reset();
        });
        begin.arrive_and_wait();
        try_to_start<Server>(next, address, "next");
        other.get();
        BOOST_TEST(exists(path) == next.has_value());
        if (next)
            BOOST_TEST(answer_of(*next) == "next");
    }
}

// Between the bind and the last of it, too: whoever looks all the time sees no more than was asked.
BOOST_AUTO_TEST_CASE_TEMPLATE(nobody_sees_a_mode_that_is_too_wide, Server, unix_servers)
{
    support::umask const nothing_withheld(0);
    std::atomic<mode_t> seen{0};
    std::atomic<bool> enough{false};
    beside looks([&] {
        while (!enough)
        {
            struct stat file;
            if (::lstat(path.c_str(), &file) == 0)
                seen |= file.st_mode & 07777;
        }
    });
    for (int i = 0; i < 5 * rounds; ++i)
    {
        ready<Server> server(defer_activation, address, says("me"));
        server.mode = 0600;
        server.activate();
    }
    enough = true;
    looks.get();
    BOOST_TEST((seen & ~mode_t{0600}) == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_server_that_was_killed_is_replaced_at_once, Server, unix_servers)
{
    for (int i = 0; i < 5; ++i)
    {
        matrix::shared<matrix::gate> serves;
        matrix::process killed([&] {
            ready<Server> server(address, says("killed"));
            serves->open();
            server.serve_forever();
        });
        BOOST_TEST_REQUIRE(serves->wait());
        BOOST_TEST(support::is_refused<Server>(address));
        killed.kill(SIGKILL);
        BOOST_TEST(killed.wait() == -SIGKILL);
        BOOST_TEST(exists(path));
        ready<Server> server(address, says("me"));
        BOOST_TEST(answer_of(server) == "me");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_lock_on_the_folder_is_given_back, Server, unix_servers)
{
    // Even if a process that was forked meanwhile has inherited it.
    class forking_when_bound : public Server
    {
    public:
        forking_when_bound(endpoint const& address, matrix::gate& end)
            : Server(address, says("me"))
            , end_(end)
        {
        }

        void server_bind() override
        {
            Server::server_bind();
            child.emplace([this] { end_.wait(); });
        }

        std::optional<matrix::process> child;

    private:
        matrix::gate& end_;
    };
    matrix::shared<matrix::gate> end;
    ready<forking_when_bound> server(address, *end);
    int const fd = ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    BOOST_TEST(::flock(fd, LOCK_EX | LOCK_NB) == 0);
    ::close(fd);
    end->open();
    BOOST_TEST(server.child->wait() == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(
    somebody_who_keeps_the_lock_does_not_keep_a_server_from_starting, Server, unix_servers)
{
    int const fd = ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    BOOST_TEST_REQUIRE(::flock(fd, LOCK_EX | LOCK_NB) == 0);
    ready<Server> server(address, says("me"));
    BOOST_TEST(answer_of(server) == "me");
    ::close(fd);
}

using with_children = boost::mp11::mp_list<forking_unix_stream_server,
    preforking_unix_stream_server, forking_unix_datagram_server, preforking_unix_datagram_server>;

BOOST_AUTO_TEST_CASE_TEMPLATE(children_of_a_server_leave_its_file, Server, with_children)
{
    auto const has_children = [] { return !matrix::children().empty(); };
    {
        support::served<Server> server(address, says("a child"));
        if constexpr (serving<Server>)
        {
            // One that ends by itself, and is replaced.
            BOOST_TEST_REQUIRE(matrix::eventually(has_children));
            auto const worker = matrix::children().front();
            ::kill(worker, SIGTERM);
            BOOST_TEST(matrix::eventually([&] { return !matrix::is_alive(worker); }));
        }
        for (int i = 0; i < 3; ++i)
        {
            if constexpr (std::is_base_of_v<unix_stream_server, Server>)
                BOOST_TEST(server.connect().all() == "a child");
            else
            {
                support::datagram_peer client(address);
                client.send("who?");
                BOOST_TEST(client.receive() == "a child");
            }
            if constexpr (!serving<Server>)
                BOOST_TEST(matrix::eventually([&] { return !has_children(); }));
            BOOST_TEST(exists(path));
        }
    }
    BOOST_TEST(!exists(path));
}

BOOST_AUTO_TEST_SUITE_END()
