// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_PARITY_COMMANDS_HPP
#define SOCKETSERVER_TEST_PARITY_COMMANDS_HPP

#include <socketserver/base_server.hpp>

#include <cstddef>
#include <functional>
#include <future>
#include <istream>
#include <string>

namespace parity {

// How many threads this process has besides those of the probe itself.
long strategy_threads();

// Carries out the commands of standard input, in the main thread.
class commands
{
public:
    // What only the strategy knows.
    struct inquiries
    {
        // How many child processes there are.
        std::function<std::size_t()> children;
        // How many threads server_close() joins, or that it joins none.
        std::function<std::string()> tracked;
    };

    commands(socketserver::base_server& server, inquiries ask);

    // Returns at the end of the commands.
    void run();

private:
    std::string carry_out(std::string const& verb, std::istream& arguments);
    void serve();
    std::string join(std::istream& arguments);

    socketserver::base_server& server_;
    inquiries ask_;
    std::future<void> loop_;
};

} // namespace parity

#endif
