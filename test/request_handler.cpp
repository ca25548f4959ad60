// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/request_handler.hpp>

#define BOOST_TEST_MODULE request_handler
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/connected.hpp"
#include "support/folder.hpp"
#include "support/lasts.hpp"
#include "support/logged.hpp"
#include "support/request.hpp"

#include <boost/system/system_error.hpp>

#include <functional>
#include <istream>
#include <memory>
#include <netinet/tcp.h>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>

namespace asio = boost::asio;
namespace data = boost::unit_test::data;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;
using support::client_address;
using support::request;

namespace {

// Does nothing.
class silent : public stream_request_handler
{
    void handle() override {}
};

// Notes its steps, and throws in those it is told to.
class stepper : public stream_request_handler
{
public:
    stepper(std::string& steps, std::string_view throws_in)
        : steps_(steps)
        , throws_in_(throws_in)
    {
        step("made");
    }

    ~stepper() override { steps_ += "gone"; }

    void setup() override { step("setup"); }
    void handle() override { step("handle"); }
    void finish() override { step("finish"); }

private:
    void step(std::string const& name)
    {
        steps_ += name + ' ';
        if (throws_in_.find(name) != throws_in_.npos)
            throw std::runtime_error("in " + name);
    }

    std::string& steps_;
    std::string_view throws_in_;
};

std::string steps_of(std::string_view throws_in, std::string& error)
{
    std::string steps;
    request r;
    try
    {
        r.run(handler<stepper>(std::ref(steps), throws_in));
    }
    catch (std::exception const& e)
    {
        error = e.what();
    }
    return steps;
}

// A datagram over loopback, and what a factory's handler makes of it.
using datagram_request = support::datagram_request<udp_server>;

} // namespace

BOOST_AUTO_TEST_CASE(takes_its_steps_in_order)
{
    std::string error;
    BOOST_TEST(steps_of("", error) == "made setup handle finish gone");
    BOOST_TEST(error == "");
}

BOOST_AUTO_TEST_CASE(finishes_after_handle_threw)
{
    std::string error;
    BOOST_TEST(steps_of("handle", error) == "made setup handle finish gone");
    BOOST_TEST(error == "in handle");
}

BOOST_AUTO_TEST_CASE(does_not_finish_after_setup_threw)
{
    std::string error;
    BOOST_TEST(steps_of("setup", error) == "made setup gone");
    BOOST_TEST(error == "in setup");
}

BOOST_AUTO_TEST_CASE(throws_what_finish_threw)
{
    std::string error;
    BOOST_TEST(steps_of("finish", error) == "made setup handle finish gone");
    BOOST_TEST(error == "in finish");
}

BOOST_AUTO_TEST_CASE(when_handle_and_finish_throw_the_first_wins_and_the_other_is_logged)
{
    support::logged const log;
    std::string error;
    BOOST_TEST(steps_of("handle finish", error) == "made setup handle finish gone");
    BOOST_TEST(error == "in handle");
    BOOST_TEST(log.lines().size() == 1u);
    BOOST_TEST(log.count("error: " + client_address.str()) == 1u);
    BOOST_TEST(log.count("in finish") == 1u);
}

BOOST_AUTO_TEST_CASE(passes_on_what_its_constructor_throws)
{
    std::string error;
    BOOST_TEST(steps_of("made", error) == "made ");
    BOOST_TEST(error == "in made");
}

BOOST_AUTO_TEST_CASE(what_is_not_an_exception_is_thrown_too)
{
    request r;
    BOOST_CHECK_THROW(r.run([](stream&) { throw 42; }), int);
}

BOOST_AUTO_TEST_CASE(knows_what_it_handles_from_setup_on)
{
    class knowing : public stream_request_handler
    {
        void setup() override { check(); }
        void handle() override { check(); }
        void finish() override { check(); }

        void check()
        {
            wfile() << (request().is_open() ? "open " : "closed ") << client_address().str() << ' '
                    << server().server_address().str() << '\n';
        }
    };
    request r;
    r.run(handler<knowing>);
    auto const line = "open 192.0.2.1:1234 127.0.0.1:0\n"s;
    BOOST_TEST(r.record->output == line + line + line);
}

BOOST_AUTO_TEST_CASE(may_be_derived_from_the_base_of_all_handlers)
{
    class bare : public base_request_handler<stream>
    {
        void handle() override { request().send_all("bare"); }
    };
    request r;
    r.run(handler<bare>);
    BOOST_TEST(r.record->output == "bare");
}

BOOST_AUTO_TEST_CASE(its_attributes_have_the_values_of_python_or_more)
{
    silent const s;
    BOOST_TEST(!s.timeout);
    BOOST_TEST(!s.deadline);
    BOOST_TEST(s.rbufsize == 8192u);
    BOOST_TEST(s.wbufsize == 8192u);
    BOOST_TEST(!s.disable_nagle_algorithm);
}

BOOST_AUTO_TEST_CASE(attributes_are_applied_before_setup_even_if_that_is_overridden)
{
    class impatient : public stream_request_handler
    {
    public:
        impatient()
        {
            timeout = 50ms;
            wbufsize = 0;
            disable_nagle_algorithm = true;
        }

        void setup() override
        {
            int on = 0;
            socklen_t size = sizeof on;
            ::getsockopt(request().native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, &size);
            wfile() << "Nagle " << (on ? "off" : "on") << '\n';
            error_code ec;
            char c;
            request().read_some(asio::buffer(&c, 1), ec);
            BOOST_TEST(ec == asio::error::timed_out);
        }

        void handle() override {}
    };
    support::connected c;
    ready<tcp_server> server(defer_activation, "127.0.0.1:0", [](stream&) {});
    handler_factory<stream> const factory = handler<impatient>;
    support::check_lasts(50ms, [&] { factory.run(c.stream, endpoint("192.0.2.1:1234"), server); });
    BOOST_TEST(c.peer().line() == "Nagle off");
}

BOOST_AUTO_TEST_CASE(the_deadline_begins_with_the_request)
{
    class bounded : public stream_request_handler
    {
    public:
        bounded() { deadline = 100ms; }

        void handle() override
        {
            char c;
            for (;;)
                request().read_some(asio::buffer(&c, 1));
        }
    };
    support::check_lasts(100ms, [] {
        support::connected c;
        ready<tcp_server> server(defer_activation, "127.0.0.1:0", [](stream&) {});
        auto const h = handler_factory<stream>(handler<bounded>).make();
        BOOST_CHECK_EXCEPTION(h->run(c.stream, endpoint("192.0.2.1:1234"), server), system_error,
            [](auto const& e) { return e.code() == asio::error::timed_out; });
    });
}

BOOST_AUTO_TEST_CASE(the_buffer_sizes_are_applied)
{
    class unbuffered : public stream_request_handler
    {
    public:
        unbuffered() { rbufsize = wbufsize = 0; }

        void handle() override { wfile() << rfile().get() << ' ' << rfile().get(); }
    };
    request r("ab");
    r.run(handler<unbuffered>);
    // Two bytes read and three pieces written, each by itself.
    BOOST_TEST(r.record->operations == 5u);
}

BOOST_DATA_TEST_CASE(what_was_written_is_sent_in_the_end, data::make({false, true}), throws)
{
    class writer : public stream_request_handler
    {
    public:
        explicit writer(bool throws)
            : throws_(throws)
        {
        }

        void handle() override
        {
            wfile() << "written in handle, ";
            if (throws_)
                throw std::runtime_error("in handle");
        }

        void finish() override { wfile() << "in finish"; }

    private:
        bool throws_;
    };
    request r;
    try
    {
        r.run(handler<writer>(throws));
        BOOST_TEST(!throws);
    }
    catch (std::runtime_error const&)
    {
        BOOST_TEST(throws);
    }
    BOOST_TEST(r.record->output == "written in handle, in finish");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_sent_in_the_end_is_no_error)
{
    support::logged const log;
    request r("", 1);
    r.run([](stream& s) { s.wfile() << "nobody hears this"; });
    BOOST_TEST(log.count("debug: " + client_address.str()) == 1u);
    BOOST_TEST(log.lines().size() == 1u);
}

BOOST_AUTO_TEST_CASE(the_connection_may_be_closed_or_taken_away)
{
    request a;
    a.run([](stream& s) { s.close(); });
    BOOST_TEST(a.record->closed);

    request b;
    stream kept;
    b.run([&](stream& s) {
        s.wfile() << "held back";
        kept = std::move(s);
    });
    BOOST_TEST(!b.record->closed);
    kept.wfile() << std::flush;
    BOOST_TEST(b.record->output == "held back");
}

BOOST_AUTO_TEST_CASE(a_datagram_is_read_and_answered_as_a_standard_stream)
{
    class adder : public datagram_request_handler
    {
        void handle() override
        {
            int a = 0;
            int b = 0;
            rfile() >> a >> b;
            wfile() << packet() << " = " << a + b;
        }
    };
    datagram_request r("127.0.0.1:0", handler<adder>);
    r.ask("20 22");
    BOOST_TEST(r.client().receive() == "20 22 = 42");
}

BOOST_AUTO_TEST_CASE(the_answer_is_one_datagram_however_often_it_was_flushed)
{
    datagram_request r("127.0.0.1:0", [](datagram& d) {
        d.wfile() << "a" << std::flush << std::string(20000, 'b') << std::endl << "c";
    });
    r.ask("");
    BOOST_TEST(r.client().receive() == 'a' + std::string(20000, 'b') + "\nc");
    BOOST_TEST(r.client().hears_nothing());
}

BOOST_AUTO_TEST_CASE(nothing_is_sent_where_nothing_was_written)
{
    datagram_request r("127.0.0.1:0", [](datagram& d) { d.wfile() << d.packet() << std::flush; });
    r.ask("");
    r.ask("something");
    BOOST_TEST(r.client().receive() == "something");
}

BOOST_DATA_TEST_CASE(an_answer_is_sent_when_finish_has_returned, data::make({false, true}), throws)
{
    class writer : public datagram_request_handler
    {
    public:
        writer(support::datagram_peer*& client, bool throws)
            : client_(client)
            , throws_(throws)
        {
        }

        void handle() override
        {
            wfile() << "written in handle, " << std::flush;
            if (throws_)
                throw std::runtime_error("in handle");
        }

        void finish() override
        {
            BOOST_TEST(client_->hears_nothing());
            wfile() << "in finish";
        }

    private:
        support::datagram_peer*& client_;
        bool throws_;
    };
    support::datagram_peer* client = nullptr;
    datagram_request r("127.0.0.1:0", handler<writer>(std::ref(client), throws));
    client = &r.client();
    try
    {
        r.ask("");
        BOOST_TEST(!throws);
    }
    catch (std::runtime_error const& e)
    {
        BOOST_TEST(throws);
        BOOST_TEST(e.what() == "in handle"s);
    }
    BOOST_TEST(r.client().receive() == "written in handle, in finish");
}

BOOST_AUTO_TEST_CASE(an_answer_that_cannot_be_sent_is_an_error)
{
    datagram_request r("127.0.0.1:0",
        [](datagram& d) { d.wfile() << std::string(d.packet() == "long" ? 70000 : 65507, 'x'); });
    BOOST_CHECK_EXCEPTION(r.ask("long"), system_error,
        [](auto const& e) { return e.code() == asio::error::message_size; });
    BOOST_TEST(r.client().hears_nothing());
    r.ask("as long as can be");
    BOOST_TEST(r.client().receive().size() == 65507u);
}

BOOST_AUTO_TEST_CASE(waiting_for_room_for_an_answer_has_a_limit_even_if_setup_is_overridden)
{
    class impatient : public datagram_request_handler
    {
    public:
        impatient()
        {
            BOOST_TEST((timeout == 1s));
            timeout = 60ms;
        }

        void setup() override {}
        void handle() override { wfile() << "no room"; }
    };
    support::folder const folder;
    support::datagram_request<unix_datagram_server> r(
        support::unix_endpoint(folder / "s"), handler<impatient>);
    support::fill(r.client().name());
    support::check_lasts(60ms, [&] {
        BOOST_CHECK_EXCEPTION(r.ask(""), system_error,
            [](auto const& e) { return e.code() == asio::error::timed_out; });
    });
}

BOOST_AUTO_TEST_CASE(the_datagram_may_be_closed_or_taken_away)
{
    datagram kept;
    datagram_request r("127.0.0.1:0", [&](datagram& d) {
        d.wfile() << "held back";
        if (d.packet() == "close")
            d.close();
        else
            kept = std::move(d);
    });
    r.ask("close");
    r.ask("keep");
    BOOST_TEST(r.client().hears_nothing());
    BOOST_TEST(kept.packet() == "keep");
    kept.send("later");
    BOOST_TEST(r.client().receive() == "later");
}
