// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/transport.hpp>

#define BOOST_TEST_MODULE transport
#include <boost/test/unit_test.hpp>

#include "support/beside.hpp"
#include "support/temporary_file.hpp"

#include <socketserver/stream.hpp>

#include <boost/system/system_error.hpp>

#include <chrono>
#include <latch>
#include <memory>
#include <string>
#include <utility>

using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;

namespace {

// The least that a transport must do, with a peer that never says anything.
class deaf final : public transport
{
public:
    explicit deaf(std::string& sent)
        : sent_(sent)
    {
    }

    std::size_t receive(mutable_buffers, time_limits const&, error_code& ec) override
    {
        waits.count_down();
        woken_.wait();
        ec = boost::asio::error::operation_aborted;
        return 0;
    }

    std::size_t send(const_buffers buffers, time_limits const&, error_code& ec) override
    {
        return try_send(buffers, ec);
    }

    std::size_t try_send(const_buffers buffers, error_code&) override
    {
        std::size_t n = 0;
        for (auto const& b : buffers)
        {
            sent_.append(static_cast<char const*>(b.data()), b.size());
            n += b.size();
        }
        return n;
    }

    void shutdown_send(error_code&) override { sent_ += "<end>"; }
    void linger(bool) noexcept override {}
    void close() noexcept override {}
    int native_handle() const noexcept override { return -1; }
    int release() noexcept override { return -1; }

    std::latch waits{1};

private:
    void wake() noexcept override { woken_.count_down(); }

    std::string& sent_;
    std::latch woken_{1};
};

} // namespace

BOOST_AUTO_TEST_CASE(time_limits_end_at_the_earlier_of_both)
{
    using clock = time_limits::clock;
    time_limits limits;
    BOOST_TEST((limits.until() == clock::time_point::max()));

    auto const before = clock::now();
    limits.idle = 1h;
    auto const in_an_hour = [&] {
        auto const until = limits.until();
        return until >= before + 1h && until <= clock::now() + 1h;
    };
    BOOST_TEST(in_an_hour());

    limits.deadline = before + 1min;
    BOOST_TEST((limits.until() == before + 1min));
    limits.deadline = before - 1min;
    BOOST_TEST((limits.until() == before - 1min));
    limits.deadline = before + 2h;
    BOOST_TEST(in_an_hour());

    limits.deadline = clock::time_point::max();
    limits.idle = std::chrono::nanoseconds::max();
    BOOST_TEST((limits.until() == clock::time_point::max()));
}

BOOST_AUTO_TEST_CASE(a_stream_works_over_a_transport_of_ones_own)
{
    std::string sent;
    stream s(std::make_unique<deaf>(sent));
    s.wfile() << "a line\n";
    s.send_all("text ");
    BOOST_TEST(s.try_send("!"));
    s.shutdown_send();
    BOOST_TEST(sent == "a line\ntext !<end>");
    BOOST_TEST(s.native_handle() == -1);
    BOOST_TEST(s.release() == -1);
    BOOST_TEST(!s.is_open());
}

BOOST_AUTO_TEST_CASE(by_default_a_file_is_read_and_sent)
{
    std::string content;
    while (content.size() < 200000)
        content += std::to_string(content.size());
    support::temporary_file const file(content);
    std::string sent;
    stream s(std::make_unique<deaf>(sent));
    BOOST_TEST(s.send_file(file.descriptor(), 10) == content.size() - 10);
    BOOST_TEST((sent == content.substr(10)));
}

BOOST_AUTO_TEST_CASE(an_interrupt_wakes_and_is_remembered)
{
    std::string sent;
    auto own = std::make_unique<deaf>(sent);
    auto& bytes = *own;
    stream s(std::move(own));
    support::beside reader([&] {
        char c;
        error_code ec;
        s.read_some(boost::asio::buffer(&c, 1), ec);
        return ec;
    });
    bytes.waits.wait();
    BOOST_TEST(!bytes.interrupted());
    s.abort();
    BOOST_TEST(bytes.interrupted());
    BOOST_TEST(reader.get() == boost::asio::error::operation_aborted);
    BOOST_TEST(!s.try_send("!"));
    BOOST_TEST(sent == "");
}
