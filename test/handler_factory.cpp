// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/handler_factory.hpp>

#define BOOST_TEST_MODULE handler_factory
#include <boost/test/unit_test.hpp>

#include "support/request.hpp"

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <ostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace socketserver;
using namespace std::literals;
using support::client_address;
using support::request;

namespace {

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

// The same for datagrams: notes what it was made from.
class noter : public datagram_request_handler
{
public:
    explicit noter(std::string& where, std::string const& text = "nothing")
        : where_(where)
        , text_(text)
    {
    }

    void handle() override { where_ = text_; }

private:
    std::string& where_;
    std::string text_;
};

// A datagram that is none, and what a factory's handler makes of it.
void handle_none(handler_factory<datagram> const& factory)
{
    datagram none;
    ready<udp_server> server(defer_activation, "127.0.0.1:0", [](datagram&) {});
    factory.run(none, client_address, server);
}

int from_the_heap = 0;

// Of so many bytes; says when it goes.
template <std::size_t Size>
class of_size : public stream_request_handler
{
public:
    static void* operator new(std::size_t size)
    {
        ++from_the_heap;
        return ::operator new(size);
    }

    static void operator delete(void* memory) noexcept { ::operator delete(memory); }

    ~of_size() override { request().wfile() << "gone" << std::flush; }

    void handle() override
    {
        content_[Size / 2] = 'x';
        throw std::runtime_error("thrown");
    }

private:
    char content_[Size];
};

template <class From, class Request>
constexpr bool makes_handlers_of = std::constructible_from<handler_factory<Request>, From>;

template <class Request>
using of_a_request = void (*)(Request&);

template <class Request>
using of_both = void (*)(Request&, endpoint const&);

static_assert(makes_handlers_of<handler_class<speaker>, stream>);
static_assert(makes_handlers_of<bound_handler<speaker, std::string>, stream>);
static_assert(makes_handlers_of<of_a_request<stream>, stream>);
static_assert(makes_handlers_of<of_both<stream>, stream>);
static_assert(makes_handlers_of<of_a_request<datagram>, datagram>);
static_assert(makes_handlers_of<of_both<datagram>, datagram>);

static_assert(std::same_as<request_handler_for<stream>::type, stream_request_handler>);
static_assert(std::same_as<request_handler_for<datagram>::type, datagram_request_handler>);

} // namespace

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

BOOST_AUTO_TEST_CASE(runs_a_small_handler_on_the_stack_and_a_large_one_from_the_heap)
{
    from_the_heap = 0;
    request small;
    BOOST_CHECK_EXCEPTION(small.run(handler<of_size<64>>), std::runtime_error,
        [](auto const& e) { return e.what() == "thrown"s; });
    BOOST_TEST(small.record->output == "gone");
    BOOST_TEST(from_the_heap == 0);

    request large;
    BOOST_CHECK_THROW(large.run(handler<of_size<513>>), std::runtime_error);
    BOOST_TEST(large.record->output == "gone");
    BOOST_TEST(from_the_heap == 1);
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

BOOST_AUTO_TEST_CASE(makes_handlers_of_datagrams_in_the_same_ways)
{
    std::string where;
    handle_none(handler<noter>(std::ref(where)));
    BOOST_TEST(where == "nothing");
    handle_none(handler<noter>(std::ref(where), "text"));
    BOOST_TEST(where == "text");
    handle_none([&](datagram&) { where = "datagram"; });
    BOOST_TEST(where == "datagram");
    handle_none([&](datagram&, endpoint const& client) { where = client.str(); });
    BOOST_TEST(where == client_address.str());
}

BOOST_AUTO_TEST_CASE(one_generic_callable_handles_requests_of_either_kind)
{
    auto const greet = [](auto& r) { r.wfile() << "hello"; };
    request s;
    s.run(greet);
    BOOST_TEST(s.record->output == "hello");

    support::datagram_request<udp_server> d("127.0.0.1:0", greet);
    d.ask("");
    BOOST_TEST(d.client().receive() == "hello");
}
