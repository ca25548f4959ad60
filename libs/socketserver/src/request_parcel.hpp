// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_REQUEST_PARCEL_HPP
#define SOCKETSERVER_SRC_REQUEST_PARCEL_HPP

#include "datagram_transport.hpp"

#include <socketserver/credentials.hpp>
#include <socketserver/datagram.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/stream.hpp>
#include <socketserver/transport.hpp>

#include <cstddef>
#include <optional>
#include <string>

namespace socketserver {

// A request as it travels to another process of the same program: its descriptor, its limits, what
// was read ahead of it and what was written but not sent.
//
// Both processes were forked from one, so that what is plain memory is sent as it lies there.
class request_parcel
{
public:
    // None.
    request_parcel() noexcept = default;

    // Packs a request, which stays as it is.  Throws std::logic_error for a stream without a socket.
    request_parcel(stream& request, endpoint const& client);
    request_parcel(datagram& request, endpoint const& client);

    request_parcel(request_parcel&& other) noexcept;
    request_parcel& operator=(request_parcel&& other) noexcept;
    ~request_parcel();

    endpoint const& client() const noexcept { return head_.client; }
    std::size_t number() const noexcept { return head_.number; }
    void number(std::size_t n) noexcept { head_.number = n; }

    // Whether all of it has come.
    bool is_whole() const noexcept { return socket_ >= 0; }

    // Sends without waiting.  Throws std::system_error.
    void send(int to);

    // Receives, and gives whether there was one: none at the end.
    bool receive(int from);

    // Unpacks; throws std::system_error.
    void unpack(stream& request);
    void unpack(datagram& request);

private:
    enum text
    {
        read_ahead,
        held_back,
        packet,
        collected,
        texts
    };

    struct head
    {
        std::size_t number = 0;
        endpoint client;

        time_limits limits;
        std::size_t rbufsize = 0;
        std::size_t wbufsize = 0;
        bool interrupted = false;
        bool served = false;
        bool ended = false;
        bool is_tcp = false;

        // Of a datagram.
        bool truncated = false;
        std::optional<credentials> vouched;
        time_limits answers;
        socklen_t sender_size = 0;
        sockaddr_storage sender{};
        std::size_t asked_size = 0;
        char asked[datagram_transport::asked_size]{};
        std::size_t read = 0;

        // Which of the texts are how long, and whether they come in a file.
        std::size_t sizes[texts]{};
        bool in_file = false;
    };

    void pack(transport& bytes);
    void unpack(transport& bytes);
    void put(text which, std::string_view what);
    std::string_view get(text which) const noexcept;
    void write_file();
    void read_file();
    void close() noexcept;

    head head_;
    std::string texts_;
    int socket_ = -1;
    int file_ = -1;
    bool owns_socket_ = false;
};

} // namespace socketserver

#endif
