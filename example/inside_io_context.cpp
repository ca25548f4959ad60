// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// A program that runs an io_context, here with a timer, and beside it a server, which SIGHUP
// restarts.  It has a thread of its own, in which it takes leave of its last clients, too: nothing
// holds up the io_context.
//
//     inside_io_context --bind 127.0.0.1:8009

#include <socketserver.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/program_options.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

namespace asio = boost::asio;

int main(int argc, char* argv[])
try
{
    namespace po = boost::program_options;
    std::string bind = "127.0.0.1:8009";
    po::options_description options;
    options.add_options()("bind", po::value(&bind));
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(options).positional({}).run(), given);
    po::notify(given);

    socketserver::log_to_stderr();
    asio::io_context context;
    std::jthread thread;
    std::function<void()> const start = [&] {
        auto server = std::make_unique<socketserver::threading_tcp_server>(
            bind, [](socketserver::stream& client) { client.wfile() << client.rfile().rdbuf(); });
        std::cout << "listening on " << server->server_address() << std::endl;
        thread = std::jthread([&, server = std::move(server)](std::stop_token asked) {
            std::stop_callback const stop(asked, [&] { server->request_shutdown(); });
            server->serve_forever();
            server->end_requests(); // waits for the requests in progress
            asio::post(context, start);
        });
    };

    asio::steady_timer timer(context);
    std::function<void()> const tick = [&] {
        std::cout << "tick" << std::endl;
        timer.expires_after(std::chrono::milliseconds(100));
        timer.async_wait([&](boost::system::error_code const&) { tick(); });
    };

    asio::signal_set signals(context, SIGHUP, SIGINT, SIGTERM);
    std::function<void()> const obey = [&] {
        signals.async_wait([&](boost::system::error_code const&, int signal) {
            if (signal != SIGHUP)
                return context.stop();
            thread.request_stop();
            obey();
        });
    };

    start();
    tick();
    obey();
    context.run();
    signals.clear(); // a second signal ends the program at once
    thread.request_stop();
    thread.join();
    return EXIT_SUCCESS;
}
catch (std::exception const& e)
{
    std::cerr << "inside_io_context: " << e.what() << '\n';
    return EXIT_FAILURE;
}
