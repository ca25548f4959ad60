// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Answers each datagram in upper case: all that handle() writes goes back as one datagram.
//
//     upper_udp_server --bind 127.0.0.1:8009 --strategy thread-pool
//     echo hello | nc -u -w 1 127.0.0.1 8009

#include <socketserver.hpp>

#include <boost/algorithm/string/case_conv.hpp>
#include <boost/program_options.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

class upper : public socketserver::datagram_request_handler
{
    void handle() override { wfile() << boost::to_upper_copy(std::string(packet())); }
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
    auto const server = socketserver::make_server<socketserver::udp_server>(
        strategy, bind, socketserver::handler<upper>);
    std::cout << "listening on " << server->server_address() << std::endl;
    return socketserver::run_until_signal(*server);
}
catch (std::exception const& e)
{
    std::cerr << "upper_udp_server: " << e.what() << '\n';
    return EXIT_FAILURE;
}
