// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_DESCRIPTORS_HPP
#define SOCKETSERVER_TEST_SUPPORT_DESCRIPTORS_HPP

#include <socketserver/ready.hpp>
#include <socketserver/stream.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <string>

namespace support {

// What is open, by descriptor.
inline std::map<int, std::string> open_descriptors()
{
    std::map<int, std::string> result;
    for (auto const& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    {
        std::error_code gone;
        auto const target = std::filesystem::read_symlink(entry.path(), gone);
        // The one that reads this is gone afterwards.
        if (int const fd = std::stoi(entry.path().filename()); ::fcntl(fd, F_GETFD) >= 0 && !gone)
            if (!target.string().starts_with("/proc/"))
                result[fd] = target;
    }
    return result;
}

// A fixture: the test leaves no descriptor open.
class no_descriptor_left
{
public:
    no_descriptor_left()
    {
        // What a process keeps once it was needed.
        boost::asio::steady_timer const timer(socketserver::stream().get_executor());
        socketserver::ready<socketserver::tcp_server> const server(
            socketserver::defer_activation, "127.0.0.1:0", [](socketserver::stream&) {});
        before_ = open_descriptors();
    }

    no_descriptor_left(no_descriptor_left const&) = delete;
    no_descriptor_left& operator=(no_descriptor_left const&) = delete;

    ~no_descriptor_left()
    {
        for (auto const& [fd, what] : open_descriptors())
            BOOST_TEST(before_.contains(fd), "left open: " << fd << ", " << what);
    }

private:
    std::map<int, std::string> before_;
};

} // namespace support

#endif
