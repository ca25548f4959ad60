// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/request_pipeline.hpp>

#define BOOST_TEST_MODULE request_pipeline
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/logged.hpp"

#include <socketserver/memory_transport.hpp>
#include <socketserver/ready.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <cerrno>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <ostream>
#include <stdexcept>
#include <string>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

namespace data = boost::unit_test::data;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;

namespace {

// A server whose requests are connections in memory.  It notes its hooks, and throws in those that
// it is told to.
class notebook : public request_pipeline<stream>
{
public:
    explicit notebook(handler_factory<stream> handlers)
        : request_pipeline(std::move(handlers))
    {
    }

    ~notebook() override { close_listener(); }

    // What a client does: a connection, and what becomes of it.
    std::shared_ptr<memory_transport::record> connect(std::string input = {})
    {
        auto record = std::make_shared<memory_transport::record>();
        will([input, record] {
            return accepted{stream(std::make_unique<memory_transport>(input, record)),
                endpoint("192.0.2.1:1234")};
        });
        return record;
    }

    // What the next get_request() does.
    void will(std::function<std::optional<accepted>()> next)
    {
        std::lock_guard const lock(mutex_);
        queue_.push_back(std::move(next));
        std::uint64_t const one = 1;
        BOOST_TEST(::write(descriptor_, &one, sizeof one) == static_cast<ssize_t>(sizeof one));
    }

    std::optional<accepted> get_request() override
    {
        tries.push_back(clock::now());
        std::function<std::optional<accepted>()> next;
        {
            std::lock_guard const lock(mutex_);
            if (queue_.empty())
                return {};
            std::uint64_t one;
            BOOST_TEST(::read(descriptor_, &one, sizeof one) == static_cast<ssize_t>(sizeof one));
            next = std::move(queue_.front());
            queue_.pop_front();
        }
        auto result = next();
        note("get");
        return result;
    }

    bool verify_request(stream& request, endpoint const& client) override
    {
        note("verify");
        return admits && request_pipeline::verify_request(request, client);
    }

    void process_request(stream& request, endpoint const& client) override
    {
        note("process");
        if (processes)
            request_pipeline::process_request(request, client);
    }

    void finish_request(stream& request, endpoint const& client) override
    {
        note("finish");
        request_pipeline::finish_request(request, client);
    }

    void shutdown_request(stream& request) override
    {
        note("shutdown");
        request_pipeline::shutdown_request(request);
    }

    void close_request(stream& request) override
    {
        note("close");
        request_pipeline::close_request(request);
    }

    void handle_error(stream& request, endpoint const& client, std::exception_ptr error) override
    {
        note("error");
        request_pipeline::handle_error(request, client, error);
    }

    void server_bind() override
    {
        descriptor_ = ::eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE | EFD_CLOEXEC);
    }

    void server_activate() override {}
    int fileno() const noexcept override { return descriptor_; }
    endpoint const& server_address() const noexcept override { return address_; }

    // Runs the loop until every client was served.
    void serve_all()
    {
        will([this] {
            request_shutdown();
            return std::nullopt;
        });
        serve_forever(1h);
    }

    std::string hooks;
    std::string throws_in;
    std::function<void()> throw_it = [] { throw std::runtime_error("of a hook"); };
    std::vector<clock::time_point> tries;
    bool admits = true;
    bool processes = true;

protected:
    void close_listener() noexcept override
    {
        if (descriptor_ >= 0)
            ::close(descriptor_);
        descriptor_ = -1;
    }

private:
    void note(std::string const& hook)
    {
        hooks += hook + ' ';
        if (throws_in.find(hook) != throws_in.npos)
            throw_it();
    }

    std::mutex mutex_;
    std::deque<std::function<std::optional<accepted>()>> queue_;
    int descriptor_ = -1;
    endpoint address_{"unix:@notebook"};
};

struct fixture
{
    fixture()
    {
        server.on_handle = [](stream& s) { s.wfile() << "served"; };
    }

    struct notebook_with_handler : notebook
    {
        explicit notebook_with_handler(int)
            : notebook([this](stream& s) { on_handle(s); })
        {
        }

        std::function<void(stream&)> on_handle;
    };

    support::logged log;
    ready<notebook_with_handler> server{0};
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipeline, fixture)

BOOST_AUTO_TEST_CASE(calls_its_hooks_in_the_order_of_python)
{
    auto const client = server.connect();
    server.on_handle = [&](stream& s) {
        server.hooks += "handle ";
        s.wfile() << "served";
    };
    server.serve_all();
    BOOST_TEST(server.hooks == "get verify process finish handle shutdown close get ");
    BOOST_TEST(client->output == "served");
    BOOST_TEST(client->closed);
    BOOST_TEST(log.lines().empty());
}

BOOST_AUTO_TEST_CASE(what_is_not_verified_is_shut_down)
{
    server.admits = false;
    auto const client = server.connect();
    server.serve_all();
    BOOST_TEST(server.hooks == "get verify shutdown close get ");
    BOOST_TEST(client->output == "");
    BOOST_TEST(client->closed);
}

BOOST_AUTO_TEST_CASE(what_a_handler_throws_goes_to_handle_error)
{
    server.on_handle = [](stream& s) {
        s.wfile() << "begun";
        throw std::runtime_error("of the handler");
    };
    auto const client = server.connect();
    server.serve_all();
    BOOST_TEST(server.hooks == "get verify process finish error shutdown close get ");
    BOOST_TEST(client->output == "begun");
    BOOST_TEST(client->closed);
    BOOST_TEST(log.count("error: 192.0.2.1:1234: of the handler") == 1u);
}

BOOST_AUTO_TEST_CASE(its_factory_makes_handlers_for_anybody)
{
    auto const record = std::make_shared<memory_transport::record>();
    stream request(std::make_unique<memory_transport>("", record));
    server.handlers().run(request, endpoint("192.0.2.1:1234"), server);
    BOOST_TEST(record->output == "served");
}

BOOST_AUTO_TEST_CASE(what_a_hook_leaves_open_is_closed)
{
    server.processes = false;
    auto const client = server.connect();
    server.serve_all();
    BOOST_TEST(server.hooks == "get verify process get ");
    BOOST_TEST(client->closed);
}

BOOST_AUTO_TEST_CASE(handles_one_request_by_the_same_hooks)
{
    auto const client = server.connect();
    server.handle_request();
    BOOST_TEST(server.hooks == "get verify process finish shutdown close ");
    BOOST_TEST(client->output == "served");
    // One that is gone counts as one, too.
    server.will([] { return std::nullopt; });
    server.handle_request();
}

BOOST_DATA_TEST_CASE_F(fixture, what_a_hook_throws_ends_the_request_and_not_the_loop,
    data::make({"verify"s, "process"s, "finish"s, "shutdown"s, "close"s, "shutdown close"s}) *
        data::make({false, true}),
    throws_in, anything)
{
    server.throws_in = throws_in;
    if (anything)
        server.throw_it = [] { throw 42; };
    auto const first = server.connect();
    auto const second = server.connect();
    server.serve_all();
    BOOST_TEST(first->closed);
    BOOST_TEST(second->closed);
    auto const reports = log.count(anything ? "not a std::exception" : "192.0.2.1:1234: of a hook");
    BOOST_TEST(reports >= 2u);
    BOOST_TEST(reports == log.lines().size());
    BOOST_TEST(log.count("error: ") == reports);

    server.throws_in.clear();
    auto const third = server.connect();
    server.serve_all();
    BOOST_TEST(third->output == "served");
}

BOOST_DATA_TEST_CASE_F(fixture, what_handle_error_throws_is_logged,
    data::make({"error verify"s, "error process"s, "error finish"s, "error shutdown"s,
        "error close"s, "error finish shutdown close"s}) *
        data::make({false, true}),
    throws_in, anything)
{
    server.throws_in = throws_in;
    if (anything)
        server.throw_it = [] { throw 42; };
    auto const first = server.connect();
    auto const second = server.connect();
    server.serve_all();
    BOOST_TEST(first->closed);
    BOOST_TEST(second->closed);
    BOOST_TEST(log.count("error: ") >= 2u);
    server.throws_in.clear();
    auto const third = server.connect();
    server.serve_all();
    BOOST_TEST(third->output == "served");
}

BOOST_AUTO_TEST_CASE(a_handler_that_cannot_be_made_is_an_error_of_its_request)
{
    class unmakable : public stream_request_handler
    {
    public:
        unmakable() { throw std::runtime_error("of the constructor"); }
        void handle() override {}
    };
    ready<notebook> other{handler_factory<stream>(handler<unmakable>)};
    auto const client = other.connect();
    other.serve_all();
    BOOST_TEST(other.hooks == "get verify process finish error shutdown close get ");
    BOOST_TEST(client->closed);
    BOOST_TEST(log.count("of the constructor") == 1u);
}

BOOST_DATA_TEST_CASE_F(fixture, a_peer_that_went_away_is_not_worth_more_than_debug,
    data::make({boost::asio::error::connection_reset, boost::asio::error::broken_pipe}))
{
    server.on_handle = [code = sample](stream&) { throw system_error(make_error_code(code)); };
    server.connect();
    server.serve_all();
    BOOST_TEST(log.count("debug: 192.0.2.1:1234: ") == 1u);
    BOOST_TEST(log.lines().size() == 1u);
}

BOOST_AUTO_TEST_CASE(the_end_of_the_peer_is_not_worth_more_than_debug)
{
    server.on_handle = [](stream& s) {
        char c;
        s.read_some(boost::asio::buffer(&c, 1));
    };
    server.connect();
    server.serve_all();
    BOOST_TEST(log.count("debug: 192.0.2.1:1234: ") == 1u);
    BOOST_TEST(log.lines().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_time_limit_is_worth_a_line_and_no_error)
{
    server.on_handle = [](stream&) {
        throw system_error(make_error_code(boost::asio::error::timed_out), "receive");
    };
    server.connect();
    server.serve_all();
    BOOST_TEST(log.count("info: 192.0.2.1:1234: receive") == 1u);
}

BOOST_DATA_TEST_CASE_F(fixture, after_these_errors_the_next_request_is_taken_at_once,
    data::make({EINTR, ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH,
        ENONET, ENOPROTOOPT, EOPNOTSUPP}))
{
    server.will([code = sample]() -> std::optional<notebook::accepted> {
        throw system_error(code, boost::system::system_category(), "accept");
    });
    auto const client = server.connect();
    server.serve_all();
    BOOST_TEST(client->output == "served");
    BOOST_TEST(log.count("debug: ") == 1u);
    BOOST_TEST(log.lines().size() == 1u);
    BOOST_TEST(server.counters().accept_errors == 1u);
}

BOOST_DATA_TEST_CASE_F(fixture, after_these_errors_the_loop_pauses_and_says_so_once,
    data::make({EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EFAULT, 4711}))
{
    for (int i = 0; i < 3; ++i)
        server.will([code = sample]() -> std::optional<notebook::accepted> {
            throw system_error(code, boost::system::system_category(), "accept");
        });
    auto const client = server.connect();
    server.serve_all();
    BOOST_TEST(client->output == "served");
    BOOST_TEST(log.count("warning: ") == 1u);
    BOOST_TEST(log.count("accept: " +
                         error_code(sample, boost::system::system_category()).message()) == 1u);
    for (std::size_t i = 0; i < 3; ++i)
        BOOST_TEST((server.tries.at(i + 1) - server.tries.at(i) >= 5ms * (1 << i)), i);
    BOOST_TEST(server.counters().accept_errors == 3u);
    BOOST_TEST(server.counters().accepted == 1u);
}

BOOST_DATA_TEST_CASE_F(fixture, after_anything_else_the_loop_pauses_too, data::xrange(3))
{
    server.will([what = sample]() -> std::optional<notebook::accepted> {
        if (what == 0)
            throw std::runtime_error("unheard of");
        if (what == 1)
            throw system_error(make_error_code(boost::asio::error::not_found), "unheard of");
        throw "unheard of";
    });
    auto const client = server.connect();
    server.serve_all();
    BOOST_TEST(client->output == "served");
    BOOST_TEST(log.count("warning: ") == 1u);
    BOOST_TEST((server.tries.at(1) - server.tries.at(0) >= 5ms));
}

BOOST_AUTO_TEST_CASE(a_request_that_cannot_be_served_yet_is_kept_and_tried_again)
{
    auto const first = server.connect();
    auto const second = server.connect();
    int refusals = 3;
    server.throws_in = "process ";
    server.throw_it = [&] {
        if (refusals-- <= 0)
            return;
        BOOST_TEST(!first->closed);
        throw try_again_later("no more of anything");
    };
    server.serve_all();
    BOOST_TEST(first->output == "served");
    BOOST_TEST(second->output == "served");
    // It is verified once, and no other is taken meanwhile.
    BOOST_TEST(server.hooks == "get verify process process process process finish shutdown close "
                               "get verify process finish shutdown close get ");
    BOOST_TEST(log.count("warning: ") == 1u);
    BOOST_TEST(log.count("no more of anything") == 1u);
    BOOST_TEST((server.tries.at(1) - server.tries.at(0) >= 5ms + 10ms + 20ms));
}

BOOST_AUTO_TEST_CASE(handle_request_tries_again_when_called_again)
{
    auto const client = server.connect();
    server.throws_in = "process ";
    server.throw_it = [] { throw try_again_later("no more of anything"); };
    server.handle_request();
    BOOST_TEST(!client->closed);
    server.throws_in.clear();
    server.handle_request();
    BOOST_TEST(client->output == "served");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_served_before_the_end_is_closed)
{
    auto const client = server.connect();
    server.throws_in = "process ";
    server.throw_it = [] { throw try_again_later("no more of anything"); };
    server.handle_request();
    server.server_close();
    BOOST_TEST(client->closed);
    BOOST_TEST(client->output == "");
    BOOST_TEST(log.count("warning: 192.0.2.1:1234: closed") == 1u);
}

BOOST_DATA_TEST_CASE_F(
    fixture, after_these_errors_the_loop_is_over, data::make({EBADF, EINVAL, ENOTSOCK}))
{
    server.will([code = sample]() -> std::optional<notebook::accepted> {
        throw system_error(code, boost::system::system_category(), "accept");
    });
    BOOST_CHECK_EXCEPTION(server.serve_forever(1h), system_error,
        [code = sample](system_error const& e) { return e.code().value() == code; });
    // Nobody waits for it any more.
    server.shutdown();
}

BOOST_AUTO_TEST_SUITE_END()
