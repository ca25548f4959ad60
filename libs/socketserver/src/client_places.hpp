// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_CLIENT_PLACES_HPP
#define SOCKETSERVER_SRC_CLIENT_PLACES_HPP

#include <socketserver/request_place.hpp>

#include <cstddef>

namespace socketserver {

class endpoint;

// How many requests each client has in progress, in all processes of a server: a hash table in
// memory that they share, made by the first prepare().
//
// A client is an IPv4 address, or the upper half of an IPv6 address, which is what one customer
// has.  Clients of Unix sockets have no address and are not counted.
//
// Any thread may call any member but prepare().
class client_places
{
public:
    using key = request_place::client_key;

    client_places() noexcept = default;
    ~client_places();

    client_places(client_places const&) = delete;
    client_places& operator=(client_places const&) = delete;

    static key key_of(endpoint const& client) noexcept;

    // Makes the table, before the processes that share it are forked.
    void prepare();

    // Gives whether there was a place for one more.  `process` is what forget() goes by.
    bool enter(key const& client, std::size_t process, std::size_t most) noexcept;
    void leave(key const& client, std::size_t process) noexcept;

    // A process has ended, and with it all that it had.
    void forget(std::size_t process) noexcept;

private:
    struct table;
    class locked;

    table* table_ = nullptr;
};

} // namespace socketserver

#endif
