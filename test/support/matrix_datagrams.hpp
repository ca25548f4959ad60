// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_DATAGRAMS_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_DATAGRAMS_HPP

#include "datagram_peer.hpp"
#include "matrix_process.hpp"
#include "matrix_sides.hpp"

#include <socketserver/datagram_client.hpp>
#include <socketserver/datagram_server.hpp>

#include <cstddef>
#include <poll.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/** What matrix_cells.hpp has for connections, for datagrams; a test includes one of both. */
namespace matrix {

using socketserver::datagram;
using support::datagram_peer;

/** The transports of datagrams; a new one is one line. */
inline std::vector<transport_side<datagram>> const transports = {
    over<socketserver::udp_server>("UDP", some_port),
    over<socketserver::unix_datagram_server>("Unix datagrams", some_path),
};

using cell = cell_of_requests<datagram>;

inline auto const cells = cells_where(transports, any);
inline auto const cells_of_several = cells_where(transports, runs_several);

inline std::vector<transport_side<datagram>> const unix_transports = {transports.back()};
inline auto const unix_cells = cells_where(unix_transports, any);

/** A cell for tests of one strategy. */
inline cell cell_of(char const* text, transport_side<datagram> const& transport)
{
    return {{text, 1, true}, transport};
}

/** The most that goes into one datagram, of Unix sockets with the system's default limits. */
inline std::size_t largest(transport_side<datagram> const& transport)
{
    return transport.is_unix() ? 200'000 : 65'507;
}

/** A server of datagrams under test. */
class served : public in_service
{
public:
    served(cell const& where, handler_factory<datagram> handlers, settings const& set = {})
        : in_service(
              [&](observations& seen) {
                  return where.transport.make(where.strategy.text, seen, set,
                      where.transport.address(), std::move(handlers));
              },
              set.poll_interval)
    {
    }

    datagram_peer client() const { return datagram_peer(address()); }
};

inline std::string ask(datagram_peer& client, std::string_view question)
{
    client.send(question);
    return client.receive();
}

/** Answers with what was asked. */
inline void echo(datagram& d)
{
    d.wfile() << d.packet();
}

/** Where handlers ask what the test alone knows: they wait, under any strategy and in any process,
    until it answers. */
class desk
{
public:
    /** A handler that waits. */
    struct visitor
    {
        std::string question;
        endpoint from;
    };

    desk()
        : peer_(some_port())
    {
        peer_.bind(some_port());
        address_ = peer_.name();
    }

    /** What a handler does: ask, and wait for the answer. */
    std::string ask(std::string_view question) const
    {
        socketserver::datagram_client client(address_);
        client.timeout(patience);
        client.send(question);
        return client.receive();
    }

    /** Answers a datagram with what was asked, when the test lets it. */
    auto holds() const
    {
        return [this](datagram& d) {
            ask(d.packet());
            d.wfile() << d.packet();
        };
    }

    endpoint const& address() const noexcept { return address_; }

    /** Waits for a handler. */
    visitor next()
    {
        visitor v;
        v.question = peer_.receive(v.from);
        return v;
    }

    void answer(visitor const& v) { peer_.send("go on", v.from); }

    /** Whether no handler comes for a while. */
    bool is_silent() const
    {
        pollfd fd{peer_.descriptor(), POLLIN, 0};
        return ::poll(&fd, 1, 50) == 0;
    }

private:
    datagram_peer peer_;
    endpoint address_;
};

/** Makes the descriptors that a process makes once and keeps. */
struct first_use
{
    first_use() { socketserver::ready<socketserver::udp_server> const server(some_port(), echo); }
};

} // namespace matrix

#endif
