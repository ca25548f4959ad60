// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_PARITY_VERBS_HPP
#define SOCKETSERVER_TEST_PARITY_VERBS_HPP

#include "options.hpp"
#include "pipeline.hpp"
#include "report.hpp"

#include <socketserver/base_server.hpp>
#include <socketserver/handler_factory.hpp>
#include <socketserver/stream.hpp>

#include <algorithm>
#include <concepts>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>

namespace parity {

inline pid_t const main_process = ::getpid();

// The first line of a request is a verb with its argument; what is done is what the verb says.
template <class Request>
class verbs final : public socketserver::request_handler_for<Request>::type
{
    static constexpr bool is_stream = std::same_as<Request, socketserver::stream>;

public:
    verbs()
    {
        if constexpr (is_stream)
        {
            if (auto const s = option<double>("handler-timeout"))
                this->timeout = seconds(*s);
            this->rbufsize = size_of("rbuf", this->rbufsize);
            // Python's writes are not held back unless they are asked to be.
            this->wbufsize = option<long>("wbuf") ? size_of("wbuf", this->wbufsize) : 0;
            this->disable_nagle_algorithm = flag("nodelay");
        }
    }

    void setup() override
    {
        trace("setup");
        fail_if_asked("setup");
    }

    void finish() override
    {
        trace("finish");
        fail_if_asked("finish");
    }

    void handle() override
    {
        trace("handle");
        if (word("mode") == "noread")
            return say("bye");
        auto const line = read_line();
        auto words = utf8(line);
        if (words.ends_with('\n'))
            words.pop_back();
        auto const space = std::min(words.find(' '), words.size());
        auto const verb = words.substr(0, space);
        auto const argument = words.substr(std::min(space + 1, words.size()));

        if (verb == "echo")
            say(argument);
        else if (verb == "addr")
            say(in_words(this->client_address()));
        else if (verb == "saddr")
            say(in_words(this->server().server_address()));
        else if (verb == "pid")
            say(::getpid() == main_process ? "same" : "other");
        else if (verb == "tid")
            say(in_serving_thread() ? "same" : "other");
        else if (verb == "raise")
            throw std::invalid_argument(argument);
        else if (verb == "raise-after")
        {
            say(argument);
            throw std::invalid_argument(argument);
        }
        else if (verb == "exit")
            throw system_exit{3};
        else if (verb == "killself")
            ::kill(::getpid(), SIGKILL);
        else if (verb == "sleep")
            sleep_and_say(argument);
        else if (verb == "big")
            write(std::string(static_cast<std::size_t>(std::max(std::stol(argument), 0L)), 'x'));
        else if (verb == "lines")
        {
            for (auto more = read_line(); !more.empty(); more = read_line())
                write(more);
        }
        else if (verb == "slurp")
            say(std::to_string(std::distance(std::istreambuf_iterator<char>(this->rfile()), {})));
        else if (verb == "len")
            say(std::to_string(line.size()));
        else if (verb == "packlen")
            say(std::to_string(packet_size()));
        else if (verb == "silent")
            return;
        else if (verb == "print")
        {
            std::puts(argument.c_str());
            say("ok");
        }
        else if (verb == "shutdown-here")
        {
            say("begin");
            this->server().shutdown();
            say("end");
        }
        else if (verb == "partial")
            write("part");
        else if (verb == "wfileclosed")
            say_no_more("x");
        else if (verb == "peek2")
            write(read_line());
        else if (verb == "")
            say("eof");
        else
            say("? " + verb);
    }

private:
    static std::size_t size_of(char const* name, std::size_t initially)
    {
        auto const size = option<long>(name).value_or(-1);
        return size < 0 ? initially : static_cast<std::size_t>(size);
    }

    // A line with its newline, which the last line may lack; empty at the end.
    std::string read_line()
    {
        auto& in = this->rfile();
        std::string line;
        if (std::getline(in, line) && !in.eof())
            line += '\n';
        return line;
    }

    void write(std::string_view text) { this->wfile() << text; }

    void say(std::string line)
    {
        line += '\n';
        write(line);
    }

    // There is nothing to end where every answer is whole.
    void say_no_more(std::string const& line)
    {
        say(line);
        if constexpr (is_stream)
            this->request().shutdown_send();
    }

    void sleep_and_say(std::string const& argument)
    {
        std::size_t end = 0;
        auto const time = seconds(std::stod(argument, &end));
        if (end == argument.size())
            throw std::invalid_argument("sleep SECONDS TEXT");
        std::this_thread::sleep_for(time);
        say(argument.substr(end + 1));
    }

    std::size_t packet_size() const
    {
        if constexpr (is_stream)
            throw std::logic_error("packlen: a connection is no packet");
        else
            return this->packet().size();
    }
};

} // namespace parity

#endif
