// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_STREAMS_HPP
#define SOCKETSERVER_TEST_SUPPORT_STREAMS_HPP

#include "connected.hpp"
#include "descriptors.hpp"
#include "temporary_file.hpp"

#include <socketserver/memory_transport.hpp>
#include <socketserver/ready.hpp>
#include <socketserver/stream.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/unit_test.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>

// What the tests of streams share.
namespace support {

namespace asio = boost::asio;
namespace data = boost::unit_test::data;
using boost::system::error_code;
using boost::system::system_error;
using namespace socketserver;
using namespace std::literals;

inline auto has(error_code expected)
{
    return [expected](system_error const& e) {
        BOOST_TEST(e.code() == expected);
        return e.code() == expected;
    };
}

inline auto has(asio::error::basic_errors expected)
{
    return has(make_error_code(expected));
}

// Whether it only says that the peer is gone.
inline bool says_peer_gone(error_code const& ec)
{
    return ec == asio::error::broken_pipe || ec == asio::error::connection_reset;
}

inline std::string receive(stream& s, std::size_t most = 65536)
{
    std::string text(most, '\0');
    text.resize(s.read_some(asio::buffer(text)));
    return text;
}

// A connection over which an input has come, with the peer's end behind it; each kind of it.
class heard
{
    support::no_descriptor_left nothing_left_;

public:
    heard(std::string const& kind, std::string const& input)
    {
        if (kind == "memory")
        {
            record_ = std::make_shared<memory_transport::record>();
            stream = socketserver::stream(std::make_unique<memory_transport>(input, record_));
            return;
        }
        connection_.emplace();
        stream = std::move(connection_->stream);
        connection_->peer().send(input);
        connection_->peer().end();
    }

    // Closes the connection and gives all that was sent over it.
    std::string output()
    {
        stream.close();
        return record_ ? record_->output : connection_->peer().all();
    }

    socketserver::stream stream;

private:
    std::shared_ptr<memory_transport::record> record_;
    std::optional<connected> connection_;
};

inline auto const kinds = data::make({"socket"s, "memory"s});

// A connection in memory whose Nth operation fails.
inline stream failing(std::string input, std::size_t n)
{
    return stream(std::make_unique<memory_transport>(std::move(input), nullptr, n));
}

// Runs a callable as the handler of a stream.
template <class F>
void handle(stream& s, F const& f)
{
    ready<tcp_server> server(defer_activation, "127.0.0.1:0", [](stream&) {});
    handler_factory<stream>(f).run(s, endpoint("127.0.0.1:1"), server);
}

} // namespace support

#endif
