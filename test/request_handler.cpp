// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/request_handler.hpp>

#define BOOST_TEST_MODULE request_handler
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/connected.hpp"
#include "support/lasts.hpp"
#include "support/logged.hpp"

#include <socketserver/memory_transport.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/system/system_error.hpp>

#include <concepts>
#include <functional>
#include <istream>
#include <memory>
#include <netinet/tcp.h>
#include <ostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;
namespace data = boost::unit_test::data;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;

namespace {

endpoint const client_address("192.0.2.1:1234");

// A request in memory, and what a factory's handler makes of it.
struct request
{
    explicit request(std::string input = {}, std::size_t fails = 0)
        : stream(std::make_unique<memory_transport>(std::move(input), record, fails))
    {
    }

    void run(handler_factory<socketserver::stream> const& factory)
    {
        factory.make()->run(stream, client_address, server);
    }

    std::shared_ptr<memory_transport::record> record = std::make_shared<memory_transport::record>();
    socketserver::stream stream;
    ready<tcp_server> server{defer_activation, "127.0.0.1:0", [](socketserver::stream&) {}};
};

// Says what it was made from.
class speaker : public stream_request_handler
{
public:
    speaker() = default;

    explicit speaker(std::string const& text, int number = 0)
        : text_(text + std::to_string(number))
    {
    }

    void handle() override { wfile() << text_; }

private:
    std::string text_ = "nothing";
};

// Counts in what it was given by reference.
class counter : public stream_request_handler
{
public:
    explicit counter(int& count)
        : count_(count)
    {
    }

    void handle() override { ++count_; }

private:
    int& count_;
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

template <class From>
constexpr bool makes_handlers = std::constructible_from<handler_factory<stream>, From>;

using of_a_stream = void (*)(stream&);
using of_both = void (*)(stream&, endpoint const&);

static_assert(makes_handlers<handler_class<speaker>>);
static_assert(makes_handlers<bound_handler<speaker, std::string>>);
static_assert(makes_handlers<of_a_stream>);
static_assert(makes_handlers<of_both>);

} // namespace

// ---------------------------------------------------------------- what makes handlers

BOOST_AUTO_TEST_CASE(makes_a_handler_without_arguments)
{
    request r;
    r.run(handler<speaker>);
    BOOST_TEST(r.record->output == "nothing");
}

BOOST_AUTO_TEST_CASE(makes_a_handler_from_copies_of_its_arguments)
{
    std::string text = "text ";
    int number = 42;
    handler_factory<stream> const factory = handler<speaker>(text, number);
    text = "changed";
    number = 0;
    for (int i = 0; i < 2; ++i)
    {
        request r;
        r.run(factory);
        BOOST_TEST(r.record->output == "text 42");
    }
    request r;
    r.run(handler<speaker>("array "));
    BOOST_TEST(r.record->output == "array 0");
}

BOOST_AUTO_TEST_CASE(shares_what_is_given_by_ref)
{
    int count = 0;
    handler_factory<stream> const factory = handler<counter>(std::ref(count));
    auto const copy = factory;
    request().run(factory);
    request().run(copy);
    BOOST_TEST(count == 2);
}

BOOST_AUTO_TEST_CASE(makes_handlers_in_many_threads_at_once)
{
    handler_factory<stream> const factory = handler<speaker>("text "s, 1);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 200; ++n)
                factory.make();
        });
}

BOOST_AUTO_TEST_CASE(handles_by_a_callable_of_either_form)
{
    request a;
    a.run([](stream& s) { s.wfile() << "stream"; });
    BOOST_TEST(a.record->output == "stream");

    request b;
    b.run([](stream& s, endpoint const& client) { s.wfile() << client.str(); });
    BOOST_TEST(b.record->output == client_address.str());

    request c;
    c.run(+[](stream& s) { s.wfile() << "function"; });
    BOOST_TEST(c.record->output == "function");

    request d;
    std::function<void(stream&)> f = [](stream& s) { s.wfile() << "std::function"; };
    d.run(f);
    BOOST_TEST(d.record->output == "std::function");
}

BOOST_AUTO_TEST_CASE(a_callable_is_kept_by_value_and_destroyed_once_unused)
{
    auto const shared = std::make_shared<int>(0);
    {
        handler_factory<stream> const factory = [shared](stream&) { ++*shared; };
        request().run(factory);
        request().run(factory);
        BOOST_TEST(shared.use_count() == 2);
    }
    BOOST_TEST(*shared == 2);
    BOOST_TEST(shared.use_count() == 1);
}

// ---------------------------------------------------------------- the steps

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

// ---------------------------------------------------------------- attributes

BOOST_AUTO_TEST_CASE(its_attributes_have_the_values_of_python_or_more)
{
    speaker const s;
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
    support::check_lasts(
        50ms, [&] { factory.make()->run(c.stream, endpoint("192.0.2.1:1234"), server); });
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

// ---------------------------------------------------------------- the end

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
