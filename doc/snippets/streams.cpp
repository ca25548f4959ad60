// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// The connection as a standard stream, as lines, and as a stream of Asio's.

#define BOOST_TEST_MODULE streams
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"
#include "support/served.hpp"

#include <socketserver.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include <cctype>
#include <cstdio>
#include <istream>
#include <memory>
#include <ostream>
#include <sstream>
#include <string>

using namespace socketserver;
using support::client;
using support::served;

namespace {

// tag::lines[]
class calculator : public stream_request_handler
{
    void handle() override
    {
        wfile() << "a sum a line, please\n";
        for (std::string line; request().read_line(line, 80);) // <1>
        {
            std::istringstream sum(line);
            double total = 0;
            for (double n; sum >> n;)
                total += n;
            wfile() << total << '\n'; // <2>
        }
    }
};
// end::lines[]

// tag::asio[]
class upper : public stream_request_handler
{
    void handle() override
    {
        boost::system::error_code ec;
        std::string text;
        while (auto const n =
                   boost::asio::read_until(request(), boost::asio::dynamic_buffer(text), ";", ec))
        {
            for (char& c : text)
                c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
            boost::asio::write(request(), boost::asio::buffer(text, n));
            text.erase(0, n);
        }
        if (ec != boost::asio::error::eof)
            throw boost::system::system_error(ec);
    }
};
// end::asio[]

// tag::file[]
class file_sender : public stream_request_handler
{
public:
    explicit file_sender(int file)
        : file_(file)
    {
    }

private:
    void handle() override
    {
        wfile() << "here it comes\n"; // sent before the file
        request().send_file(file_);
        request().shutdown_send(); // the client sees the end, and may go on sending
        for (std::string line; std::getline(rfile(), line);)
            ++thanks_;
    }

    int file_;
    int thanks_ = 0;
};
// end::file[]

} // namespace

BOOST_AUTO_TEST_CASE(a_dialogue_needs_no_flush)
{
    served<threading_tcp_server> s("127.0.0.1:0", handler<calculator>);
    auto c = s.connect();
    BOOST_TEST(c.line() == "a sum a line, please");
    c.send("1 2\n");
    BOOST_TEST(c.line() == "3");
    c.send("0.5 0.25\r\n");
    BOOST_TEST(c.line() == "0.75");
    c.send(std::string(100, '1') + '\n');
    BOOST_TEST(c.sees_end());
}

BOOST_AUTO_TEST_CASE(asios_own_functions_work)
{
    served<coroutine_tcp_server> s("127.0.0.1:0", handler<upper>);
    auto c = s.connect();
    c.send("one;tw");
    BOOST_TEST(c.bytes(4) == "ONE;");
    c.send("o;three");
    BOOST_TEST(c.bytes(4) == "TWO;");
    c.end();
    BOOST_TEST(c.all() == "");
}

BOOST_AUTO_TEST_CASE(a_file_goes_behind_what_was_written)
{
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const file(std::tmpfile(), &std::fclose);
    std::fputs("the text of the file\n", file.get());
    std::fflush(file.get());
    served<threading_tcp_server> s("127.0.0.1:0", handler<file_sender>(::fileno(file.get())));
    auto c = s.connect();
    BOOST_TEST(c.all() == "here it comes\nthe text of the file\n");
    c.send("thanks\n");
}
