// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Serves the clients of some networks: all others are hung up on before a thread, a process or a
// coroutine is spent on them.
//
//     access_control --bind :8009 --allow 127.0.0.0/8 --allow fd00::/8

#include <socketserver.hpp>

#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/program_options.hpp>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace ip = boost::asio::ip;

// IPv4 as a part of IPv6, which makes networks of both families one type.
ip::address_v6 to_v6(ip::address const& a)
{
    return a.is_v6() ? a.to_v6() : ip::make_address_v6(ip::v4_mapped, a.to_v4());
}

ip::network_v6 to_network(std::string const& text)
{
    boost::system::error_code ec;
    if (auto const v4 = ip::make_network_v4(text, ec); !ec)
        return ip::network_v6(to_v6(v4.address()), 96 + v4.prefix_length());
    auto const v6 = ip::make_network_v6(text, ec);
    if (ec)
        throw std::invalid_argument('\'' + text + "' is no network, such as 127.0.0.0/8");
    return v6;
}

class guarded_server : public socketserver::tcp_server
{
public:
    guarded_server(std::string const& address, std::vector<std::string> const& allowed)
        : tcp_server(address, [](socketserver::stream& s) { s.send_all("You are welcome.\n"); })
    {
        for (auto const& network : allowed)
            allowed_.push_back(to_network(network));
    }

    bool verify_request(socketserver::stream&, socketserver::endpoint const& client) override
    {
        auto const address = to_v6(client.to<ip::tcp::endpoint>().address());
        return std::ranges::any_of(allowed_, [&](ip::network_v6 const& network) {
            return ip::network_v6(address, network.prefix_length()).network() == network.network();
        });
    }

private:
    std::vector<ip::network_v6> allowed_;
};

int main(int argc, char* argv[])
try
{
    namespace po = boost::program_options;
    std::string bind = "127.0.0.1:8009";
    std::string strategy = "threading";
    std::vector<std::string> allow{"127.0.0.0/8", "::1/128"};
    po::options_description options;
    auto add = options.add_options();
    add("bind", po::value(&bind))("strategy", po::value(&strategy))("allow", po::value(&allow));
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(options).positional({}).run(), given);
    po::notify(given);

    socketserver::log_to_stderr();
    auto const server = socketserver::make_server<guarded_server>(strategy, bind, allow);
    std::cout << "listening on " << server->server_address() << std::endl;
    return socketserver::run_until_signal(*server);
}
catch (std::exception const& e)
{
    std::cerr << "access_control: " << e.what() << '\n';
    return EXIT_FAILURE;
}
