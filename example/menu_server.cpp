// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The menu of a call centre, held over one long connection: a dialogue in lines of text.  There is
// a handler for each connection, so what belongs to the conversation is a member of it.
//
//     menu_server --bind 127.0.0.1:8009 --strategy forking
//     nc 127.0.0.1 8009

#include <socketserver.hpp>

#include <boost/program_options.hpp>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <unistd.h>

class menu : public socketserver::stream_request_handler
{
public:
    // Who says nothing for five minutes is hung up on.
    menu() { timeout = std::chrono::minutes(5); }

    void handle() override
    {
        wfile() << "Welcome!  1: opening hours, 2: who serves you, 3: how often you have chosen, "
                << "exit: hang up.\n";
        for (std::string choice; request().read_line(choice, 80) && choice != "exit"; ++choices_)
        {
            if (choice == "1")
                wfile() << "We are open from 9 to 17.\n";
            else if (choice == "2")
                wfile() << "Process " << ::getpid() << " serves you, " << client_address() << ".\n";
            else if (choice == "3")
                wfile() << "You have chosen " << choices_ << " times before.\n";
            else
                wfile() << "Please choose 1, 2, 3 or exit.\n";
        }
        wfile() << "Goodbye.\n";
    }

private:
    int choices_ = 0;
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

    socketserver::log_to_stderr();
    auto const server = socketserver::make_server<socketserver::tcp_server>(
        strategy, bind, socketserver::handler<menu>);
    std::cout << "listening on " << server->server_address() << std::endl;
    return socketserver::run_until_signal(*server);
}
catch (std::exception const& e)
{
    std::cerr << "menu_server: " << e.what() << '\n';
    return EXIT_FAILURE;
}
