// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// What goes wrong, and who hears of it.

#define BOOST_TEST_MODULE errors
#include <boost/test/unit_test.hpp>

#include "support/client.hpp"
#include "support/served.hpp"

#include <socketserver.hpp>

#include <boost/log/attributes/value_extraction.hpp>
#include <boost/log/core.hpp>
#include <boost/log/expressions.hpp>
#include <boost/log/sinks/sync_frontend.hpp>
#include <boost/log/sinks/text_ostream_backend.hpp>
#include <boost/log/trivial.hpp>
#include <boost/smart_ptr/make_shared_object.hpp>

#include <atomic>
#include <exception>
#include <istream>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>

using namespace socketserver;
using support::client;

namespace {

class strict : public stream_request_handler
{
    void handle() override
    {
        for (std::string line; std::getline(rfile(), line);)
        {
            if (line.empty())
                throw std::runtime_error("an empty line");
            wfile() << line << '\n';
        }
    }
};

// tag::handle-error[]
class counting_server : public tcp_server
{
public:
    using tcp_server::tcp_server;

    std::atomic<int> failures = 0;

private:
    void handle_error(
        stream& request, endpoint const& client_address, std::exception_ptr error) override
    {
        ++failures;
        request.wfile() << "sorry\n" << std::flush; // the client is still there
        tcp_server::handle_error(request, client_address, error);
    }
};
// end::handle-error[]

} // namespace

BOOST_AUTO_TEST_CASE(an_exception_ends_its_request_alone)
{
    support::served<ready<threading_mixin<counting_server>>> s("127.0.0.1:0", handler<strict>);
    auto bad = s.connect();
    auto good = s.connect();
    bad.send("one\n\ntwo\n");
    BOOST_TEST(bad.all() == "one\nsorry\n");
    good.send("one\n");
    BOOST_TEST(good.line() == "one");
    BOOST_TEST(s->failures == 1);
}

BOOST_AUTO_TEST_CASE(a_programs_own_sinks_get_the_lines)
{
    auto const text = boost::make_shared<std::ostringstream>();
    namespace logging = boost::log;
    // tag::sink[]
    using backend = logging::sinks::text_ostream_backend;
    auto const sink = boost::make_shared<logging::sinks::synchronous_sink<backend>>();
    sink->locked_backend()->add_stream(text); // a file's, for example
    sink->set_filter(logging::expressions::attr<std::string>("Channel") == "socketserver");
    logging::core::get()->add_sink(sink);
    log_level(log_severity::info); // what the library logs at all
    // end::sink[]
    {
        support::served<threading_tcp_server> s("127.0.0.1:0", handler<strict>);
        auto c = s.connect();
        c.send("\n");
        BOOST_TEST(c.sees_end());
    }
    logging::core::get()->remove_sink(sink);
    BOOST_TEST(text->str().find("an empty line") != std::string::npos);
}
