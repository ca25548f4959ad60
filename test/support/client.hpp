// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_CLIENT_HPP
#define SOCKETSERVER_TEST_SUPPORT_CLIENT_HPP

#include <socketserver/endpoint.hpp>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace support {

// A connection of the test's own, by the system's calls alone.  What does not come within the time
// limit is an exception.
class client
{
public:
    explicit client(socketserver::endpoint const& server)
        : client(::socket(static_cast<sockaddr const*>(server.data())->sa_family,
              SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        require(::connect(descriptor_, static_cast<sockaddr const*>(server.data()),
                    static_cast<socklen_t>(server.size())) == 0,
            "client: connect");
    }

    // Takes over a connected socket.
    explicit client(int descriptor)
        : descriptor_(descriptor)
    {
        require(descriptor >= 0, "client: socket");
        time_limit(std::chrono::seconds(10));
    }

    client(client&& other) noexcept
        : descriptor_(std::exchange(other.descriptor_, -1))
        , ahead_(std::move(other.ahead_))
    {
    }

    client& operator=(client&& other) noexcept
    {
        std::swap(descriptor_, other.descriptor_);
        std::swap(ahead_, other.ahead_);
        return *this;
    }

    ~client() { close(); }

    int descriptor() const noexcept { return descriptor_; }

    // The longest time one operation may wait.
    void time_limit(std::chrono::milliseconds limit)
    {
        timeval const value{limit.count() / 1000, limit.count() % 1000 * 1000};
        ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value);
        ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
    }

    void send(std::string_view bytes)
    {
        while (!bytes.empty())
        {
            auto const n = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR)
                continue;
            require(n > 0, "client: send");
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
    }

    // Tells the peer that nothing more comes.
    void end() { ::shutdown(descriptor_, SHUT_WR); }

    void close() noexcept
    {
        if (int const fd = std::exchange(descriptor_, -1); fd >= 0)
            ::close(fd);
    }

    // Makes the peer's next operation fail.
    void reset() noexcept
    {
        linger const at_once{1, 0};
        ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close();
    }

    // Gives a line without its end, or what came before the peer's end.
    std::string line()
    {
        std::size_t end;
        while ((end = ahead_.find('\n')) == ahead_.npos)
            if (!more())
                return std::exchange(ahead_, {});
        auto result = ahead_.substr(0, end);
        ahead_.erase(0, end + 1);
        return result;
    }

    // Gives so many bytes, or what came before the peer's end.
    std::string bytes(std::size_t n)
    {
        while (ahead_.size() < n && more())
            ;
        auto result = ahead_.substr(0, n);
        ahead_.erase(0, result.size());
        return result;
    }

    // Gives all up to the peer's end.
    std::string all()
    {
        while (more())
            ;
        return std::exchange(ahead_, {});
    }

    // Whether the peer has ended, in whatever way, with nothing more to say.
    bool sees_end()
    {
        try
        {
            return ahead_.empty() && !more();
        }
        catch (std::system_error const& e)
        {
            return e.code().value() == ECONNRESET;
        }
    }

    // Whether nothing has come yet.
    bool hears_nothing() const
    {
        char c;
        return ahead_.empty() && ::recv(descriptor_, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
               errno == EAGAIN;
    }

private:
    static void require(bool condition, char const* what)
    {
        if (!condition)
            throw std::system_error(errno, std::system_category(), what);
    }

    bool more()
    {
        char buffer[65536];
        ssize_t n;
        do
            n = ::recv(descriptor_, buffer, sizeof buffer, 0);
        while (n < 0 && errno == EINTR);
        require(n >= 0, "client: receive");
        ahead_.append(buffer, static_cast<std::size_t>(n));
        return n > 0;
    }

    int descriptor_;
    std::string ahead_;
};

// A client that has an address of its own choice, and the system's receive buffer unless told
// otherwise.
inline client client_from(socketserver::endpoint const& source,
    socketserver::endpoint const& server, int receive_buffer = 0)
{
    auto const address = [](socketserver::endpoint const& e) {
        return static_cast<sockaddr const*>(e.data());
    };
    client c(::socket(address(server)->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (receive_buffer != 0)
        ::setsockopt(c.descriptor(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (::bind(c.descriptor(), address(source), static_cast<socklen_t>(source.size())) < 0 ||
        ::connect(c.descriptor(), address(server), static_cast<socklen_t>(server.size())) < 0)
        throw std::system_error(errno, std::system_category(), "client_from");
    return c;
}

// Waits until nobody listens any more; false if somebody still does after ten seconds.
inline bool is_closed(socketserver::endpoint const& server)
{
    auto const until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    try
    {
        while (std::chrono::steady_clock::now() < until)
            client c(server);
        return false;
    }
    catch (std::system_error const& e)
    {
        // Reset, if the listener was closed in the middle of connecting.
        if (e.code().value() != ECONNREFUSED && e.code().value() != ECONNRESET)
            throw;
        return true;
    }
}

} // namespace support

#endif
