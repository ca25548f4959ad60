// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/interruptible.hpp>

#define BOOST_TEST_MODULE interruptible
#include <boost/test/unit_test.hpp>

#include <socketserver/active_request.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/stream_server.hpp>

#include <optional>

using namespace socketserver;

namespace {

class waits : public interruptible
{
public:
    ~waits() override { leave_request(); }

    int woken = 0;
    int flushed = 0;

private:
    void wake() noexcept override { ++woken; }
    void flush_pending() noexcept override { ++flushed; }
    int waits_for() const noexcept override { return 17; }
};

struct fixture
{
    fixture() { request.enter("192.0.2.1:1234"); }

    ready<tcp_server> server{"127.0.0.1:0", [](stream&) {}};
    active_request request{server};
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(waiting, fixture)

BOOST_AUTO_TEST_CASE(an_interrupt_wakes_it_and_stays)
{
    waits w;
    BOOST_TEST(!w.interrupted());
    w.interrupt();
    BOOST_TEST(w.interrupted());
    BOOST_TEST(w.woken == 1);
}

BOOST_AUTO_TEST_CASE(is_interrupted_with_its_request)
{
    waits w;
    request.attach(w);
    BOOST_TEST(request.owns(17));
    request.flush_pending();
    BOOST_TEST(w.flushed == 1);
    request.abort();
    BOOST_TEST(w.interrupted());
    BOOST_TEST(w.woken == 1);
}

BOOST_AUTO_TEST_CASE(one_that_comes_after_the_abort_is_interrupted_at_once)
{
    request.abort();
    waits w;
    request.attach(w);
    BOOST_TEST(w.interrupted());
}

BOOST_AUTO_TEST_CASE(one_that_has_left_is_let_alone)
{
    waits w;
    request.attach(w);
    w.leave_request();
    BOOST_TEST(!request.owns(17));
    request.abort();
    BOOST_TEST(!w.interrupted());
}

BOOST_AUTO_TEST_CASE(leaves_its_request_when_it_goes_and_when_that_ends)
{
    std::optional<waits> first(std::in_place);
    waits second;
    request.attach(*first);
    request.attach(second);
    first.reset();
    BOOST_TEST(request.owns(17));
    request.leave();
    BOOST_TEST(!request.owns(17));
    second.leave_request();
}

BOOST_AUTO_TEST_SUITE_END()
