// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_PROCESS_WORDS_HPP
#define SOCKETSERVER_SRC_STRATEGY_PROCESS_WORDS_HPP

#include <cstring>
#include <string>

namespace socketserver::process_words {

// What a process is called in the log: "child 812 (127.0.0.1:4711)".
inline std::string name(char const* kind, int pid, std::string const& purpose)
{
    auto result = kind + (' ' + std::to_string(pid));
    if (!purpose.empty())
        result += " (" + purpose + ')';
    return result;
}

// How it has ended: "... was killed by signal 11 (SEGV)".
inline std::string end(std::string const& name, int signal, int status)
{
    if (signal == 0)
        return name + " has ended with status " + std::to_string(status);
    auto const* const abbreviation = ::sigabbrev_np(signal);
    return name + " was killed by signal " + std::to_string(signal) +
           (abbreviation ? std::string(" (") + abbreviation + ')' : std::string());
}

// That it is about to be killed.
inline std::string kill(std::string const& name)
{
    return name + " does not end though it was told to; it is killed";
}

} // namespace socketserver::process_words

#endif
