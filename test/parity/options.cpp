// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "options.hpp"

#include <boost/program_options.hpp>

#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <stdexcept>
#include <string_view>
#include <sys/resource.h>
#include <vector>

namespace parity {

namespace po = boost::program_options;

po::variables_map given;

namespace {

std::set<std::string, std::less<>> injected;

// The words of the command line for what the library calls otherwise.
std::map<std::string, char const*> const strategies{
    {"sync", "synchronous"},
    {"thread", "threading"},
    {"fork", "forking"},
    {"pool", "thread-pool:16"},
    {"prefork", "preforking:8"},
    {"coroutine", "coroutine"},
};

po::options_description all_options()
{
    auto const word = [](char const* initially) {
        return po::value<std::string>()->default_value(initially);
    };

    po::options_description all("parity_probe");
    all.add_options()("family", word("inet"), "inet, inet6 or unix");
    all.add_options()("type", word("stream"), "stream or dgram");
    all.add_options()("strategy", word("sync"), "sync, thread, fork, pool, prefork or coroutine");
    all.add_options()("host", po::value<std::string>(), "127.0.0.1, or ::1");
    all.add_options()("port", word("0"), "port");
    all.add_options()("path", word(""), "path of a Unix socket");
    all.add_options()("poll", po::value<double>()->default_value(0.5), "poll interval in s");
    all.add_options()("timeout", po::value<double>(), "how long handle_request() waits, in s");
    all.add_options()("queue", po::value<int>(), "request_queue_size");
    all.add_options()("reuse-addr", po::value<int>(), "allow_reuse_address");
    all.add_options()("max-children", po::value<std::size_t>(), "max_children");
    all.add_options()("max-packet", po::value<std::size_t>(), "max_packet_size");
    all.add_options()("block-on-close", po::value<int>(), "block_on_close");
    all.add_options()("daemon-threads", po::value<int>(), "daemon_threads");
    all.add_options()("handler-timeout", po::value<double>(), "the handler's timeout in s");
    all.add_options()("rbuf", po::value<long>(), "the handler's rbufsize; -1 for the default");
    all.add_options()("wbuf", po::value<long>(), "the handler's wbufsize; -1 for the default");
    all.add_options()("nodelay", po::bool_switch(), "the handler's disable_nagle_algorithm");
    all.add_options()("no-activate", po::bool_switch(), "neither bind nor listen");
    all.add_options()("trace", po::bool_switch(), "report every step");
    all.add_options()("deny", po::bool_switch(), "let nobody in");
    all.add_options()("inject", po::value<std::vector<std::string>>(),
        "fail in get_request_os, get_request, verify, process, setup, finish, handle_error or "
        "service");
    all.add_options()("mode", word("verbs"), "verbs, or noread: answer without reading");
    all.add_options()("nofile", po::value<rlim_t>(), "most descriptors");
    return all;
}

void expect_one_of(char const* name, std::set<std::string> const& words)
{
    if (!words.contains(word(name)))
        throw po::validation_error(po::validation_error::invalid_option_value, name, word(name));
}

} // namespace

void read_command_line(int argc, char** argv)
{
    try
    {
        po::store(po::parse_command_line(argc, argv, all_options()), given);
        po::notify(given);
        expect_one_of("family", {"inet", "inet6", "unix"});
        expect_one_of("type", {"stream", "dgram"});
        expect_one_of("strategy", {"sync", "thread", "fork", "pool", "prefork", "coroutine"});
        expect_one_of("mode", {"verbs", "noread"});
    }
    catch (po::error const& e)
    {
        std::cerr << "parity_probe: " << e.what() << '\n';
        std::exit(2);
    }
    for (auto const& point :
        option<std::vector<std::string>>("inject").value_or(std::vector<std::string>()))
        injected.insert(point);
}

bool flag(char const* name)
{
    return given[name].as<bool>();
}

std::string const& word(char const* name)
{
    return given[name].as<std::string>();
}

bool is_injected(char const* point)
{
    return injected.contains(std::string_view(point));
}

void fail_if_asked(char const* point)
{
    if (is_injected(point))
        throw std::invalid_argument("injected");
}

char const* strategy_text()
{
    return strategies.at(word("strategy"));
}

socketserver::endpoint address()
{
    auto const& family = word("family");
    if (family == "unix")
        return "unix:" + word("path");
    auto const host = option<std::string>("host");
    auto const port = ':' + word("port");
    if (family == "inet")
        return (host == "" ? "0.0.0.0" : host.value_or("127.0.0.1")) + port;
    // Where it does not say otherwise, the system serves IPv4 at the same port.
    if (host == "" || host == "::")
        return port;
    return '[' + (host == "localhost" ? "::1" : host.value_or("::1")) + ']' + port;
}

std::chrono::nanoseconds seconds(double s)
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(s));
}

} // namespace parity
