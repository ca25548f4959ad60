// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/awaited_operation.hpp>

#define BOOST_TEST_MODULE awaited_operation
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"

#include <boost/asio/post.hpp>

#include <string>
#include <utility>

using namespace socketserver;
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// Begins an operation that gives what it is told to, in another thread.
template <class... Arguments>
auto gives(Arguments... arguments)
{
    return awaited_result<Arguments...>(std::in_place, [&](auto handler) {
        auto const executor = handler.get_executor();
        asio::post(executor, [handler = std::move(handler), arguments...]() mutable {
            handler(std::move(arguments)...);
        });
    });
}

} // namespace

BOOST_AUTO_TEST_CASE(whoever_waits_is_told_of_the_end)
{
    awaited_operation operation;
    support::beside waits([&] { return operation.wait(); });
    waits.wait_until_asleep();
    operation.complete();
    BOOST_TEST(!waits.get());
}

BOOST_AUTO_TEST_CASE(waiting_again_changes_nothing)
{
    awaited_operation operation;
    operation.complete();
    BOOST_TEST(!operation.wait());
    BOOST_TEST(!operation.wait());
}

BOOST_AUTO_TEST_CASE(gives_what_the_operation_gave)
{
    error_code ec = asio::error::eof;
    BOOST_TEST((gives(7).get(ec)) == 7);
    BOOST_TEST(!ec);
    auto const [number, text] = gives(error_code(), 8, std::string("eight")).get(ec);
    BOOST_TEST(number == 8);
    BOOST_TEST(text == "eight");
    BOOST_TEST(!ec);
    BOOST_TEST((gives(error_code(asio::error::eof), 9).get(ec)) == 9);
    BOOST_TEST(ec == asio::error::eof);
}

BOOST_AUTO_TEST_CASE(throws_what_the_operation_gave_as_an_exception)
{
    error_code ec;
    auto const thrown = std::make_exception_ptr(std::string("thrown"));
    BOOST_CHECK_THROW(gives(thrown).get(ec), std::string);
}

BOOST_AUTO_TEST_CASE(one_that_is_given_up_ends_the_wait)
{
    error_code ec;
    awaited_result<int>(std::in_place, [](auto handler) {
        auto const gone = std::move(handler);
    }).get(ec);
    BOOST_TEST(ec == asio::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE(one_that_nobody_waits_for_is_cancelled)
{
    bool cancelled = false;
    {
        awaited_result<> const result(std::in_place, [&](auto handler) {
            auto slot = handler.get_cancellation_slot();
            auto const shared = std::make_shared<decltype(handler)>(std::move(handler));
            slot.assign([&cancelled, shared](asio::cancellation_type) {
                cancelled = true;
                (*shared)();
            });
        });
    }
    BOOST_TEST(cancelled);
}
