// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Several servers in one loop of the program's own: poll(2) waits for all of them and for the
// signal to stop, and handle_request() takes what has come.  Any strategy will do but preforking,
// which has loops of its own.
//
//     many_servers --bind 127.0.0.1:8009 --bind [::1]:8010 --strategy coroutine

#include <socketserver.hpp>

#include <boost/program_options.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/signalfd.h>
#include <unistd.h>
#include <vector>

int main(int argc, char* argv[])
try
{
    namespace po = boost::program_options;
    std::vector<std::string> binds{"127.0.0.1:8009", "127.0.0.1:8010"};
    std::string strategy = "threading";
    po::options_description options;
    options.add_options()("bind", po::value(&binds))("strategy", po::value(&strategy));
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(options).positional({}).run(), given);
    po::notify(given);

    // Before there is a thread, so that none of them takes the signals.
    sigset_t stop;
    ::sigemptyset(&stop);
    ::sigaddset(&stop, SIGINT);
    ::sigaddset(&stop, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &stop, nullptr);
    std::vector<pollfd> wanted{{::signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK), POLLIN, 0}};

    socketserver::log_to_stderr();
    std::vector<std::unique_ptr<socketserver::base_server>> servers;
    for (auto const& bind : binds)
    {
        auto const where = std::to_string(servers.size() + 1);
        auto const answer = [where](socketserver::stream& client) {
            for (std::string line; client.read_line(line);)
                client.wfile() << "server " << where << ": " << line << '\n';
        };
        auto& server = servers.emplace_back(
            socketserver::make_server<socketserver::tcp_server>(strategy, bind, answer));
        // Where a server is at its limit, the others do not wait for longer.
        server->timeout = std::chrono::milliseconds(100);
        wanted.push_back({server->fileno(), POLLIN, 0});
        std::cout << "listening on " << server->server_address() << std::endl;
    }
    for (signalfd_siginfo told; ::read(wanted[0].fd, &told, sizeof told) < 0;)
    {
        ::poll(wanted.data(), wanted.size(), -1);
        for (std::size_t i = 0; i < servers.size(); ++i)
            if (wanted[i + 1].revents)
                servers[i]->handle_request();
    }
    // The requests in progress are waited for, unless there is another signal.
    ::pthread_sigmask(SIG_UNBLOCK, &stop, nullptr);
    return EXIT_SUCCESS;
}
catch (std::exception const& e)
{
    std::cerr << "many_servers: " << e.what() << '\n';
    return EXIT_FAILURE;
}
