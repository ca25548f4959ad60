// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Sends back whatever bytes come, as they come: a handler that works on the connection itself, as
// on any synchronous stream of Asio's.  Any strategy will do: synchronous, threading, thread-pool,
// forking, preforking, coroutine, preforking/coroutine.
//
//     echo_server --bind 127.0.0.1:8009 --strategy coroutine
//     echo_client 127.0.0.1:8009 hello world

#include <socketserver.hpp>

#include <boost/asio/write.hpp>
#include <boost/program_options.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

class echo : public socketserver::stream_request_handler
{
    void handle() override
    {
        char bytes[4096];
        boost::system::error_code ec;
        while (auto const n = request().read_some(boost::asio::buffer(bytes), ec))
            boost::asio::write(request(), boost::asio::buffer(bytes, n));
        if (ec != boost::asio::error::eof)
            throw boost::system::system_error(ec);
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

    socketserver::log_to_stderr();
    auto const server = socketserver::make_server<socketserver::tcp_server>(
        strategy, bind, socketserver::handler<echo>);
    std::cout << "listening on " << server->server_address() << std::endl;
    return socketserver::run_until_signal(*server);
}
catch (std::exception const& e)
{
    std::cerr << "echo_server: " << e.what() << '\n';
    return EXIT_FAILURE;
}
