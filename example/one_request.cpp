// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Hands out three tickets, one request at a time, in a loop of its own: handle_request() waits for
// a client no longer than the time limit, so that the program comes to its other work as well.
//
//     one_request --bind 127.0.0.1:8009 --timeout 500

#include <socketserver.hpp>

#include <boost/program_options.hpp>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

class ticket_server : public socketserver::tcp_server
{
public:
    using tcp_server::tcp_server;

    void handle_timeout() override { std::cout << "nobody came" << std::endl; }
};

int main(int argc, char* argv[])
try
{
    namespace po = boost::program_options;
    std::string bind = "127.0.0.1:8009";
    int milliseconds = 1000;
    po::options_description options;
    options.add_options()("bind", po::value(&bind))("timeout", po::value(&milliseconds));
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(options).positional({}).run(), given);
    po::notify(given);

    socketserver::log_to_stderr();
    int tickets = 0;
    socketserver::ready<ticket_server> server(bind,
        [&](socketserver::stream& client) { client.wfile() << "ticket " << ++tickets << '\n'; });
    server.timeout = std::chrono::milliseconds(milliseconds);
    std::cout << "listening on " << server.server_address() << std::endl;
    // Whatever else the program has to do has its place in this loop.
    while (tickets < 3)
        server.handle_request();
    return EXIT_SUCCESS;
}
catch (std::exception const& e)
{
    std::cerr << "one_request: " << e.what() << '\n';
    return EXIT_FAILURE;
}
