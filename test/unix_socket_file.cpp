// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The file of a Unix socket: who may make it, replace it and remove it.

#define BOOST_TEST_MODULE unix_socket_file
#include <boost/test/unit_test.hpp>

#include "support/descriptors.hpp"
#include "support/folder.hpp"
#include "support/matrix_process.hpp"
#include "support/names.hpp"
#include "support/unix_servers.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace asio = boost::asio;
using boost::system::system_error;
using namespace socketserver;
using support::answer_of;
using support::exists;
using support::leave_dead;
using support::mode_of;
using support::says;
using support::status_of;
using support::type_of;
using support::unix_endpoint;
using support::unix_servers;

namespace {

struct fixture : support::no_descriptor_left
{
    support::folder folder;
    std::string const path = folder / "server";
    endpoint const address = unix_endpoint(path);
};

// A server whose file is looked at as soon as it is bound.
template <class Server>
class looked_at : public Server
{
public:
    looked_at(endpoint const& address, std::optional<unsigned> mode)
        : Server(address, says("me"))
    {
        this->mode = mode;
    }

    void server_bind() override
    {
        Server::server_bind();
        mode_when_bound = mode_of(this->server_address().path());
    }

    mode_t mode_when_bound = 0;
};

auto const listens = " (a server listens there)";

bool is_root()
{
    return ::geteuid() == 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(the_file, fixture)

BOOST_AUTO_TEST_CASE_TEMPLATE(
    has_the_mode_that_was_asked_for_whatever_the_umask, Server, unix_servers)
{
    for (mode_t const bits : {0, 022, 077, 0777})
        for (mode_t const mode : {0600, 0660, 0666, 0777, 0})
        {
            support::umask const withheld(bits);
            ready<looked_at<Server>> const server(address, mode);
            BOOST_TEST(server.mode_when_bound == mode);
            BOOST_TEST(mode_of(path) == mode);
        }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(has_by_default_what_the_umask_leaves, Server, unix_servers)
{
    for (mode_t const bits : {0, 022, 077})
    {
        support::umask const withheld(bits);
        ready<looked_at<Server>> const server(address, std::nullopt);
        BOOST_TEST(server.mode_when_bound == (0777 & ~bits));
        BOOST_TEST(mode_of(path) == (0777 & ~bits));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(replaces_one_whose_server_is_dead, Server, unix_servers)
{
    for (int const type : {SOCK_STREAM, SOCK_DGRAM})
    {
        leave_dead(path, type);
        ready<Server> server(address, says("me"));
        BOOST_TEST(answer_of(server) == "me");
    }
    BOOST_TEST(!exists(path));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(of_a_live_server_is_left_alone, Server, unix_servers)
{
    ready<Server> live(address, says("the first"));
    auto const before = status_of(path).st_ino;
    BOOST_TEST(support::is_refused<unix_stream_server>(address, listens));
    BOOST_TEST(support::is_refused<unix_datagram_server>(address, listens));
    BOOST_TEST(status_of(path).st_ino == before);
    BOOST_TEST(answer_of(live) == "the first");
}

BOOST_AUTO_TEST_CASE(of_a_server_whose_queue_is_full_is_left_alone)
{
    ready<unix_stream_server> busy(defer_activation, address, says("busy"));
    busy.request_queue_size = 0;
    busy.activate();
    support::client const waits(address);
    BOOST_TEST_REQUIRE(support::connecting(address, SOCK_STREAM) == EAGAIN);
    BOOST_TEST(support::is_refused<unix_stream_server>(address, listens));
    BOOST_TEST(exists(path));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(is_not_made_where_something_else_is, Server, unix_servers)
{
    auto const target = folder / "target";
    std::ofstream(target) << "precious";
    leave_dead(folder / "dead", type_of<Server>);
    struct
    {
        char const* what;
        void (*make)(std::string const& path, support::folder const&);
    } const in_the_way[] = {
        {"a file", [](auto& path, auto&) { std::ofstream(path) << "precious"; }},
        {"an empty file", [](auto& path, auto&) { std::ofstream{path}; }},
        {"a folder", [](auto& path, auto&) { std::filesystem::create_directory(path); }},
        {"a pipe", [](auto& path, auto&) { ::mkfifo(path.c_str(), 0600); }},
        {"a link to a file",
            [](auto& path, auto& folder) {
                std::filesystem::create_symlink(folder / "target", path);
            }},
        {"a link to nothing",
            [](auto& path, auto& folder) {
                std::filesystem::create_symlink(folder / "nothing", path);
            }},
        {"a link to a dead socket",
            [](auto& path, auto& folder) {
                std::filesystem::create_symlink(folder / "dead", path);
            }},
    };
    for (auto const& each : in_the_way)
    {
        BOOST_TEST_CONTEXT(each.what)
        {
            each.make(path, folder);
            auto const before = status_of(path);
            BOOST_TEST(support::is_refused<Server>(address, " (the file there is no socket)"));
            auto const after = status_of(path);
            BOOST_TEST(after.st_ino == before.st_ino);
            BOOST_TEST(after.st_mode == before.st_mode);
            BOOST_TEST(after.st_size == before.st_size);
            std::filesystem::remove(path);
        }
    }
    BOOST_TEST(std::filesystem::file_size(target) == 8u);
    BOOST_TEST(exists(folder / "dead"));
    BOOST_TEST(!exists(folder / "nothing"));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(of_somebody_else_is_left_alone_even_if_dead, Server, unix_servers)
{
    // A user who is not root cannot make one, but may be it.
    constexpr uid_t other = 65534;
    leave_dead(path, type_of<Server>);
    if (is_root())
        BOOST_TEST_REQUIRE(::lchown(path.c_str(), other, other) == 0);
    else
    {
        BOOST_TEST_MESSAGE("only root can give a file away");
        return;
    }
    auto const before = status_of(path).st_ino;
    BOOST_TEST(support::is_refused<Server>(
        address, " (a socket that nobody serves is there, and cannot be removed)"));
    BOOST_TEST(status_of(path).st_ino == before);
    BOOST_TEST(status_of(path).st_uid == other);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(needs_a_folder_that_is_there, Server, unix_servers)
{
    auto const nowhere = unix_endpoint(folder / "no/server");
    BOOST_CHECK_EXCEPTION(ready<Server>(nowhere, says("me")), system_error,
        support::names(nowhere.str(), boost::system::errc::no_such_file_or_directory));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(is_removed_on_close_and_made_again_at_once, Server, unix_servers)
{
    for (int i = 0; i < 5; ++i)
    {
        ready<Server> server(address, says("me"));
        BOOST_TEST(exists(path));
        BOOST_TEST(answer_of(server) == "me");
        server.server_close();
        BOOST_TEST(!exists(path));
    }
    BOOST_TEST(folder.is_empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(is_removed_when_activation_fails, Server, unix_servers)
{
    class failing : public Server
    {
    public:
        using Server::Server;

        void server_activate() override { throw std::runtime_error("not today"); }
    };
    BOOST_CHECK_THROW(ready<failing>(address, says("me")), std::runtime_error);
    BOOST_TEST(!exists(path));
    ready<Server> server(address, says("me"));
    BOOST_TEST(answer_of(server) == "me");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(of_another_server_is_not_removed, Server, unix_servers)
{
    std::optional<ready<Server>> first(std::in_place, address, says("first"));
    std::filesystem::remove(path);
    ready<Server> second(address, says("second"));
    first.reset();
    BOOST_TEST(exists(path));
    BOOST_TEST(answer_of(second) == "second");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(may_be_gone_before_the_end, Server, unix_servers)
{
    ready<Server> server(address, says("me"));
    std::filesystem::remove(path);
    server.server_close();
    // What is there instead is somebody's.
    ready<Server> again(address, says("me"));
    std::filesystem::remove(path);
    std::ofstream(path) << "precious";
    again.server_close();
    BOOST_TEST(std::filesystem::file_size(path) == 8u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(is_not_removed_by_a_forked_process, Server, unix_servers)
{
    auto server = std::make_unique<ready<Server>>(address, says("me"));
    matrix::process closes([&] { server->server_close(); });
    BOOST_TEST(closes.wait() == 0, closes.errors());
    BOOST_TEST(exists(path));
    matrix::process destroys([&] { server.reset(); });
    BOOST_TEST(destroys.wait() == 0, destroys.errors());
    BOOST_TEST(exists(path));
    BOOST_TEST(answer_of(*server) == "me");
    server.reset();
    BOOST_TEST(!exists(path));
}

BOOST_AUTO_TEST_CASE(of_an_adopted_acceptor_is_not_removed)
{
    {
        asio::io_context context;
        asio::local::stream_protocol::acceptor acceptor(context, path);
        ready<unix_stream_server> server(std::move(acceptor), says("me"));
        BOOST_TEST((server.server_address() == address));
        BOOST_TEST(answer_of(server) == "me");
    }
    BOOST_TEST(exists(path));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(
    with_a_relative_path_survives_a_change_of_folder, Server, unix_servers)
{
    support::folder const elsewhere;
    std::ofstream(elsewhere / "s") << "precious";
    support::working_folder const here(folder.path());
    ready<Server> server("unix:s", says("me"));
    BOOST_TEST(server.server_address().str() == "unix:s");
    BOOST_TEST(answer_of(server) == "me");
    support::working_folder const there(elsewhere.path());
    server.server_close();
    BOOST_TEST(!exists(folder / "s"));
    BOOST_TEST(exists(elsewhere / "s"));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(may_be_where_no_address_could_say_it_in_full, Server, unix_servers)
{
    auto const deep = folder / std::string(120, 'd');
    std::filesystem::create_directory(deep);
    support::working_folder const here(deep);
    leave_dead("s", type_of<Server>);
    ready<Server> server("unix:s", says("me"));
    BOOST_TEST(answer_of(server) == "me");
    server.server_close();
    BOOST_TEST(!exists("s"));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(may_have_a_path_of_108_bytes, Server, unix_servers)
{
    for (std::size_t const length : {107u, 108u})
    {
        auto const long_path = folder.path_of(length);
        leave_dead(long_path, type_of<Server>);
        ready<Server> server(unix_endpoint(long_path), says("me"));
        BOOST_TEST(answer_of(server) == "me");
        BOOST_TEST(support::is_refused<Server>(unix_endpoint(long_path), listens));
        server.server_close();
    }
    BOOST_TEST(folder.is_empty());
    BOOST_CHECK_THROW(unix_endpoint(folder.path_of(109)), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(is_none_for_an_abstract_name, Server, unix_servers)
{
    using namespace std::literals;
    support::working_folder const here(folder.path());
    auto const name = unix_endpoint("@socketserver-test\0"s + std::to_string(::getpid()) + "\0"s);
    for (int i = 0; i < 3; ++i)
    {
        ready<Server> server(defer_activation, name, says("me"));
        server.mode = 0600;
        server.activate();
        BOOST_TEST((server.server_address() == name));
        BOOST_TEST(answer_of(server) == "me");
        BOOST_CHECK_EXCEPTION(ready<Server>(name, says("other")), system_error,
            [](auto const& e) { return e.code() == asio::error::address_in_use; });
        BOOST_TEST(folder.is_empty());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(is_not_shared_whatever_is_reused, Server, unix_servers)
{
    auto const reusing = [&](auto& server) {
        server.allow_reuse_address = true;
        server.allow_reuse_port = true;
        server.activate();
    };
    ready<Server> first(defer_activation, address, says("first"));
    reusing(first);
    ready<Server> second(defer_activation, address, says("second"));
    BOOST_CHECK_EXCEPTION(reusing(second), system_error,
        [](auto const& e) { return e.code() == asio::error::address_in_use; });
    BOOST_TEST(answer_of(first) == "first");
}

BOOST_AUTO_TEST_SUITE_END()
