// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy.hpp>

#include <charconv>
#include <stdexcept>
#include <string>
#include <utility>

namespace socketserver {

namespace {

constexpr std::pair<std::string_view, strategy::dispatch> names[] = {
    {"synchronous", strategy::dispatch::synchronous},
    {"threading", strategy::dispatch::threading},
    {"thread-pool", strategy::dispatch::thread_pool},
    {"forking", strategy::dispatch::forking},
    {"fork-server", strategy::dispatch::fork_server},
    {"coroutine", strategy::dispatch::coroutine},
};

[[noreturn]] void refuse(std::string_view text, std::string_view why)
{
    throw std::invalid_argument(
        '\'' + std::string(text) + "' is not a strategy: " + std::string(why) +
        "; possible are synchronous, threading[:N], thread-pool[:N], forking[:N], "
        "fork-server[:N], coroutine[:N], and preforking[:N] alone or before one of these but "
        "fork-server, as in preforking:4/coroutine");
}

// NAME or NAME:N, cut in two.
struct part
{
    std::string_view name;
    std::optional<std::size_t> number;
};

part parse(std::string_view piece, std::string_view text)
{
    auto const colon = piece.find(':');
    if (colon == piece.npos)
        return {piece, {}};
    auto const digits = piece.substr(colon + 1);
    std::size_t n = 0;
    auto const [end, error] = std::from_chars(digits.begin(), digits.end(), n);
    if (error != std::errc() || end != digits.end() || n == 0 || n > 1'000'000)
        refuse(text, "N is a number from 1 to 1000000");
    return {piece.substr(0, colon), n};
}

} // namespace

strategy::strategy(std::string_view text)
{
    auto rest = text;
    auto const slash = text.find('/');
    if (auto const first = parse(text.substr(0, slash), text); first.name == "preforking")
    {
        preforks_ = true;
        workers_ = first.number;
        if (slash == text.npos)
            return;
        rest = text.substr(slash + 1);
    }
    auto const [name, number] = parse(rest, text);
    for (auto const& [known, dispatch] : names)
    {
        if (name != known)
            continue;
        if (number && dispatch == strategy::dispatch::synchronous)
            refuse(text, "synchronous takes no number");
        if (preforks_ && dispatch == strategy::dispatch::fork_server)
            refuse(text, "a worker has no threads, and forks its children itself");
        dispatching_ = dispatch;
        limit_ = number;
        return;
    }
    refuse(text, "there is none of this name");
}

std::string strategy::str() const
{
    auto const with_number = [](std::string name, std::optional<std::size_t> n) {
        return n ? name + ':' + std::to_string(*n) : name;
    };
    std::string_view name;
    for (auto const& [known, dispatch] : names)
        if (dispatch == dispatching_)
            name = known;
    auto const inner = with_number(std::string(name), limit_);
    if (!preforks_)
        return inner;
    auto const outer = with_number("preforking", workers_);
    return dispatching_ == dispatch::synchronous ? outer : outer + '/' + inner;
}

} // namespace socketserver
