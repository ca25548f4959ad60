// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// An HTTP server with keep-alive, over the blocking calls of Boost.Beast: the same lines in
// threads, processes or coroutines.
//
//     http_server_beast --bind 127.0.0.1:8080 --strategy preforking/coroutine
//     curl -i http://127.0.0.1:8080/any/path

#include <socketserver.hpp>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/program_options.hpp>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

namespace http = boost::beast::http;

// tag::handler[]
class hello : public socketserver::stream_request_handler
{
public:
    hello() { timeout = std::chrono::seconds(30); }

    void handle() override
    {
        boost::beast::flat_buffer buffer;
        for (bool keep_alive = true; keep_alive;)
        {
            http::request<http::string_body> question;
            boost::system::error_code ec;
            http::read(request(), buffer, question, ec);
            if (ec == http::error::end_of_stream)
                return;
            if (ec)
                throw boost::system::system_error(ec);

            keep_alive = question.keep_alive();
            http::response<http::string_body> answer(http::status::ok, question.version());
            answer.set(http::field::content_type, "text/plain");
            answer.keep_alive(keep_alive);
            answer.body() = "hello, you asked for " + std::string(question.target()) + '\n';
            answer.prepare_payload();
            if (question.method() == http::verb::head)
                answer.body().clear();
            http::write(request(), answer);
        }
    }
};
// end::handler[]

int main(int argc, char* argv[])
try
{
    namespace po = boost::program_options;
    std::string bind = "127.0.0.1:8080";
    std::string strategy = "threading";
    po::options_description options;
    options.add_options()("bind", po::value(&bind))("strategy", po::value(&strategy));
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(options).positional({}).run(), given);
    po::notify(given);

    socketserver::log_to_stderr();
    auto const server = socketserver::make_server<socketserver::tcp_server>(
        strategy, bind, socketserver::handler<hello>);
    std::cout << "listening on " << server->server_address() << std::endl;
    return socketserver::run_until_signal(*server);
}
catch (std::exception const& e)
{
    std::cerr << "http_server_beast: " << e.what() << '\n';
    return EXIT_FAILURE;
}
