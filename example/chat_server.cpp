// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// A chat room: what one guest says, all others hear, by try_send(), which never waits: a guest who
// does not listen is hung up on, and delays nobody.  The room is in the memory of one process, so
// that strategies with several are refused.
//
//     chat_server --bind 127.0.0.1:8009 --strategy coroutine
//     nc 127.0.0.1 8009

#include <socketserver.hpp>

#include <boost/program_options.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>

class chat_server : public socketserver::tcp_server
{
public:
    using tcp_server::tcp_server;

    void enter(socketserver::stream& guest)
    {
        std::lock_guard const lock(mutex_);
        guests_.insert(&guest);
    }

    void leave(socketserver::stream& guest)
    {
        std::lock_guard const lock(mutex_);
        guests_.erase(&guest);
    }

    void say(std::string const& line, socketserver::stream const* speaker = nullptr)
    {
        std::lock_guard const lock(mutex_);
        for (auto* const guest : guests_)
            if (guest != speaker && !guest->try_send(line + '\n'))
                guest->abort();
    }

    void server_stopping() override { say("The room closes."); }

private:
    std::mutex mutex_;
    std::set<socketserver::stream*> guests_;
};

class chat : public socketserver::stream_request_handler
{
    chat_server& room() const { return static_cast<chat_server&>(server()); }
    std::string name() const { return client_address().str(); }

    void setup() override { room().enter(request()); }

    void handle() override
    {
        room().say(name() + " is here.");
        for (std::string line; request().read_line(line, 1000);)
            room().say(name() + ": " + line, &request());
    }

    // Called whatever handle() has thrown, and before the stream goes.
    void finish() override
    {
        room().leave(request());
        room().say(name() + " is gone.");
    }
};

int main(int argc, char* argv[])
try
{
    namespace po = boost::program_options;
    std::string bind = "127.0.0.1:8009";
    std::string strategy = "threading";
    po::options_description options;
    options.add_options()("bind", po::value(&bind))("strategy", po::value(&strategy));
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(options).positional({}).run(), given);
    po::notify(given);

    socketserver::strategy const chosen = strategy;
    if (chosen.forks())
        throw std::invalid_argument("'" + strategy + "': processes have no room in common");
    socketserver::log_to_stderr();
    auto const server =
        socketserver::make_server<chat_server>(chosen, bind, socketserver::handler<chat>);
    std::cout << "listening on " << server->server_address() << std::endl;
    return socketserver::run_until_signal(*server);
}
catch (std::exception const& e)
{
    std::cerr << "chat_server: " << e.what() << '\n';
    return EXIT_FAILURE;
}
