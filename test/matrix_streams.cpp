// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Every strategy over every transport: the stream as Asio's and Beast's blocking calls use it.

#define BOOST_TEST_MODULE matrix_streams

#include "support/matrix_cells.hpp"
#include "support/temporary_file.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/completion_condition.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/dynamic_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <string>

using namespace matrix;
namespace asio = boost::asio;
namespace http = boost::beast::http;

BOOST_TEST_GLOBAL_FIXTURE(first_use);

namespace {

// Bytes of which each has its place.
std::string pattern(std::size_t size)
{
    std::string result(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        result[i] = static_cast<char>('a' + i * 7 % 26 + i / 1000 % 2);
    return result;
}

} // namespace

BOOST_DATA_TEST_CASE_F(nothing_left, asio_reads_until_and_writes, cells, where)
{
    served server(where, [](stream& s) {
        std::string text;
        for (;;)
        {
            boost::system::error_code ec;
            auto const n = asio::read_until(s, asio::dynamic_buffer(text), "\r\n", ec);
            if (ec)
                break;
            std::string line = text.substr(0, n);
            text.erase(0, n);
            std::reverse(line.begin(), line.end() - 2);
            std::array<asio::const_buffer, 2> const both{asio::buffer("> ", 2), asio::buffer(line)};
            asio::write(s, both);
        }
    });
    auto client = server.client();
    // Two at once and one in pieces.
    asio::write(client, asio::buffer(std::string("abc\r\ndef\r\ngh")));
    BOOST_TEST(hear(client) == "> cba");
    BOOST_TEST(hear(client) == "> fed");
    asio::write(client, asio::buffer(std::string("i\r")));
    asio::write(client, asio::buffer(std::string("\n")));
    BOOST_TEST(hear(client) == "> ihg");
}

BOOST_DATA_TEST_CASE_F(nothing_left, asio_reads_exactly_what_was_asked_for, cells, where)
{
    auto const sent = pattern(300'000);
    served server(where, [&](stream& s) {
        std::string first(100'000, '\0');
        std::string rest(200'000, '\0');
        std::array const both{asio::buffer(first), asio::buffer(rest)};
        asio::read(s, both);
        asio::write(s, asio::buffer(std::string(first + rest == sent ? "same\n" : "other\n")));
        boost::system::error_code ec;
        char byte;
        asio::read(s, asio::buffer(&byte, 1), asio::transfer_exactly(1), ec);
        asio::write(s, asio::buffer(ec.message()));
    });
    auto client = server.client();
    asio::write(client, asio::buffer(sent));
    BOOST_TEST(hear(client) == "same");
    client.shutdown_send();
    BOOST_TEST(hear(client) == make_error_code(asio::error::eof).message());
}

BOOST_DATA_TEST_CASE_F(nothing_left, asio_writes_more_than_the_system_takes_at_once, cells, where)
{
    // Made once: a sanitizer takes seconds for it.
    static auto const sent = pattern(20'000'000);
    served server(where, [](stream& s) { asio::write(s, asio::buffer(sent)); });
    auto client = server.client();
    BOOST_TEST((hear_all(client) == sent));
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, beast_speaks_http, cells, where)
{
    served server(where, [](stream& s) {
        boost::beast::flat_buffer buffer;
        for (;;)
        {
            http::request<http::string_body> request;
            boost::system::error_code ec;
            http::read(s, buffer, request, ec);
            if (ec)
                break;
            http::response<http::string_body> response(http::status::ok, request.version());
            response.body() = std::string(request.target()) + " with " +
                              std::to_string(request.body().size()) + " bytes";
            response.keep_alive(request.keep_alive());
            response.prepare_payload();
            http::write(s, response);
            if (!response.keep_alive())
                break;
        }
    });
    auto client = server.client();
    boost::beast::flat_buffer buffer;
    for (std::size_t const size : {0u, 10u, 500'000u})
    {
        http::request<http::string_body> request(http::verb::post, "/here", 11);
        request.set(http::field::host, "localhost");
        request.body() = pattern(size);
        request.keep_alive(size < 1000);
        request.prepare_payload();
        http::write(client, request);
        http::response<http::string_body> response;
        http::read(client, buffer, response);
        BOOST_TEST(response.result_int() == 200);
        BOOST_TEST(response.body() == "/here with " + std::to_string(size) + " bytes");
    }
    BOOST_TEST(hear(client) == the_end);
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(nothing_left, a_file_is_sent, cells, where)
{
    static auto const content = pattern(3'000'000);
    support::temporary_file const file(content);
    served server(where, [&](stream& s) {
        s.timeout(patience);
        s.wfile() << "begin ";
        s.send_file(file.descriptor());
        s.wfile() << " end";
    });
    auto client = server.client();
    BOOST_TEST((hear_all(client) == "begin " + content + " end"));
}
