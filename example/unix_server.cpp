// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Tells the clients of a Unix socket who they are, which the kernel vouches for: those that
// connect, or with --datagram those that send a datagram.  One function serves both.
//
//     unix_server --bind unix:/tmp/who.sock --strategy coroutine
//     nc -U /tmp/who.sock

#include <socketserver.hpp>

#include <boost/program_options.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

int main(int argc, char* argv[])
try
{
    namespace po = boost::program_options;
    std::string bind = "unix:/tmp/who.sock";
    std::string strategy = "threading";
    bool datagram = false;
    po::options_description options;
    auto add = options.add_options();
    add("bind", po::value(&bind))("strategy", po::value(&strategy));
    add("datagram", po::bool_switch(&datagram));
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(options).positional({}).run(), given);
    po::notify(given);

    socketserver::log_to_stderr();
    auto const tell = [](auto& client) {
        if (auto const who = client.peer_credentials())
            client.wfile() << "You are process " << who->pid << " of user " << who->uid << ".\n";
    };
    using socketserver::make_server, socketserver::unix_datagram_server,
        socketserver::unix_stream_server;
    auto const server = datagram ? make_server<unix_datagram_server>(strategy, bind, tell)
                                 : make_server<unix_stream_server>(strategy, bind, tell);
    std::cout << "listening on " << server->server_address() << std::endl;
    return socketserver::run_until_signal(*server);
}
catch (std::exception const& e)
{
    std::cerr << "unix_server: " << e.what() << '\n';
    return EXIT_FAILURE;
}
