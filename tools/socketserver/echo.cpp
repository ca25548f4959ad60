// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "command.hpp"
#include "limits.hpp"

#include <socketserver/base_server.hpp>
#include <socketserver/datagram_server.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/log.hpp>
#include <socketserver/make_server.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/request_handler.hpp>
#include <socketserver/run_until_signal.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/program_options.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace po = boost::program_options;
using socketserver::log_severity;

namespace {

class echo_handler : public socketserver::stream_request_handler
{
public:
    explicit echo_handler(limits const& set)
    {
        timeout = set.timeout;
        deadline = set.deadline;
        // What came in one piece may go back in several: the last is not to wait for an ACK.
        disable_nagle_algorithm = true;
    }

private:
    // Most clients send little at a time: only one that sends more gets more memory.
    void handle() override
    {
        std::array<char, 1024> few;
        std::vector<char> many;
        auto bytes = boost::asio::buffer(few);
        boost::system::error_code ec;
        while (auto const n = request().read_some(bytes, ec))
        {
            request().send_all({static_cast<char const*>(bytes.data()), n});
            if (n == few.size() && many.empty())
            {
                many.resize(65536);
                bytes = boost::asio::buffer(many);
            }
        }
        if (ec != boost::asio::error::eof)
            throw boost::system::system_error(ec, "receive");
    }
};

// Says where it listens when it can be told to stop: who starts it may send signals from then on.
template <class Server>
class announced : public Server
{
public:
    using Server::Server;

protected:
    void serve(socketserver::base_server::duration poll_interval) override
    {
        std::cout << "listening on " << this->server_address() << std::endl;
        Server::serve(poll_interval);
    }
};

template <class Server>
using announced_ready = socketserver::ready<announced<Server>>;

// Over what the address says, and what was asked for.
std::unique_ptr<socketserver::base_server> make_echo(socketserver::strategy const& strategy,
    socketserver::endpoint const& bind, bool datagrams, limits const& set)
{
    using namespace socketserver;
    if (datagrams && (set.timeout || set.deadline))
        limits::refuse(set.timeout ? "timeout" : "deadline", "connections");
    auto const limited = configured([&](auto& server) { set.apply(server); });
    auto const connection = handler<echo_handler>(set);
    auto const packet = [](datagram& d) { d.send(d.packet()); };
    bool const is_unix = bind.family() == address_family::unix_domain;
    if (datagrams)
        return is_unix ? make_server<unix_datagram_server, announced_ready>(
                             strategy, limited, bind, packet)
                       : make_server<udp_server, announced_ready>(strategy, limited, bind, packet);
    return is_unix ? make_server<unix_stream_server, announced_ready>(
                         strategy, limited, bind, connection)
                   : make_server<tcp_server, announced_ready>(strategy, limited, bind, connection);
}

log_severity to_severity(std::string const& text)
{
    constexpr std::pair<char const*, log_severity> levels[] = {
        {"trace", log_severity::trace},
        {"debug", log_severity::debug},
        {"info", log_severity::info},
        {"warning", log_severity::warning},
        {"error", log_severity::error},
        {"fatal", log_severity::fatal},
    };
    for (auto const& [name, severity] : levels)
        if (text == name)
            return severity;
    throw std::invalid_argument(
        "--log '" + text +
        "': there is no such level; possible are trace, debug, info, warning, error and fatal");
}

socketserver::base_server* of_signal = nullptr;

void log_counters(int)
{
    of_signal->request_counters_log();
}

// SIGUSR1 has the counters logged.
void count_on_signal(socketserver::base_server& server)
{
    of_signal = &server;
    struct sigaction action
    {
    };
    action.sa_handler = log_counters;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGUSR1, &action, nullptr);
}

} // namespace

int echo(arguments const& given)
{
    std::string bind;
    std::string strategy;
    std::string level;
    bool datagrams = false;
    limits set;
    po::options_description options("Options");
    auto add = options.add_options();
    add("bind", po::value(&bind)->value_name("ENDPOINT")->default_value("127.0.0.1:8009"),
        "where to listen: 127.0.0.1:8009, [::1]:8009, or :8009 for every interface (port 0 for a "
        "free one); unix:/run/echo.sock or unix:@name");
    add("datagrams", po::bool_switch(&datagrams), "serve datagrams and not connections");
    add("strategy", po::value(&strategy)->value_name("TEXT")->default_value("threading"),
        "synchronous, threading[:N], thread-pool[:N], forking[:N], fork-server[:N], coroutine[:N], "
        "or preforking[:N], alone or before one of these as in preforking:4/coroutine");
    set.add_to(options);
    add("log", po::value(&level)->value_name("LEVEL")->default_value("info"),
        "what goes to standard error: trace, debug, info, warning, error or fatal");
    add("help,h", "this text");
    po::variables_map values;
    auto const style =
        po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    auto const parsed = po::command_line_parser(given).options(options).style(style).run();
    for (auto const& option : parsed.options)
        if (option.position_key != -1)
            throw std::invalid_argument("unexpected argument '" + option.value.front() + "'");
    po::store(parsed, values);
    po::notify(values);
    if (values.count("help"))
    {
        std::cout << "usage: socketserver echo [OPTION...]\n\n" << options;
        return EXIT_SUCCESS;
    }

    socketserver::log_to_stderr(to_severity(level));
    auto const server = make_echo(strategy, bind, datagrams, set);
    count_on_signal(*server);
    return socketserver::run_until_signal(*server);
}
