// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_CELLS_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_CELLS_HPP

#include "matrix_process.hpp"
#include "matrix_sides.hpp"

#include <socketserver/connect.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace matrix {

using socketserver::stream;

/** The transports of connections; a new one is one line. */
inline std::vector<transport_side<stream>> const transports = {
    over<socketserver::tcp_server>("TCP", some_port),
    over<socketserver::unix_stream_server>("Unix streams", some_path),
};

using cell = cell_of_requests<stream>;

inline auto const cells = cells_where(transports, any);
inline auto const cells_of_several = cells_where(transports, runs_several);
inline auto const cells_to_abort = cells_where(transports, can_be_aborted);

/** A cell for tests of one strategy, and for other servers that a test needs. */
inline cell cell_of(char const* text, transport_side<stream> const& transport = transports.front())
{
    return {{text, 1, true}, transport};
}

/** A client's side of a connection, on which no operation waits for ever.

    It shares its process with the server: children forked meanwhile have its descriptor, too, so
    that closing that would not end the connection.
*/
class client_stream : public stream
{
public:
    explicit client_stream(endpoint const& server)
        : stream(socketserver::connect(server, patience))
    {
        timeout(patience);
    }

    client_stream(client_stream&&) = default;

    client_stream& operator=(client_stream&& other) noexcept
    {
        leave();
        stream::operator=(std::move(other));
        return *this;
    }

    ~client_stream() { leave(); }

    /** Ends the connection. */
    void leave() noexcept
    {
        abort();
        close();
    }
};

/** A server of connections under test. */
class served : public in_service
{
public:
    served(cell const& where, handler_factory<stream> handlers, settings const& set = {})
        : in_service(
              [&](observations& seen) {
                  return where.transport.make(where.strategy.text, seen, set,
                      where.transport.address(), std::move(handlers));
              },
              set.poll_interval)
    {
    }

    client_stream client() const { return client_stream(address()); }

protected:
    using in_service::in_service;
};

/** A server of one class under test, served by a thread of its own. */
template <class Server>
class served_as : public served
{
public:
    /** Configures the server before it is bound. */
    template <class Configure>
    served_as(
        handler_factory<stream> handlers, Configure const& configure, settings const& set = {})
        : served(
              [&](observations& seen) -> std::unique_ptr<base_server> {
                  auto server = std::make_unique<observed_ready<Server>>(
                      socketserver::defer_activation, seen, set, some_port(), handlers);
                  configure(*server);
                  server->activate();
                  return server;
              },
              set.poll_interval)
    {
    }

    explicit served_as(handler_factory<stream> handlers, settings const& set = {})
        : served_as(
              std::move(handlers), [](auto&) {}, set)
    {
    }

    Server& operator*() noexcept { return dynamic_cast<Server&>(server()); }
    Server* operator->() noexcept { return &**this; }
};

inline constexpr char the_end[] = "<the end>";

inline void say(stream& to, std::string line)
{
    to.send_all(line += '\n');
}

/** The next line; @ref the_end when the peer has ended. */
inline std::string hear(stream& from)
{
    std::string line;
    return from.read_line(line) ? line : the_end;
}

inline std::string ask(stream& s, std::string question)
{
    say(s, std::move(question));
    return hear(s);
}

/** Everything that comes until the peer ends. */
inline std::string hear_all(stream& from)
{
    std::string all;
    for (char buffer[65536];;)
    {
        boost::system::error_code ec;
        auto const n = from.read_some(boost::asio::buffer(buffer), ec);
        all.append(buffer, n);
        if (ec == boost::asio::error::eof)
            return all;
        if (ec)
            throw boost::system::system_error(ec);
    }
}

/** Whether a stream stays silent for a while. */
inline bool is_silent(stream& s)
{
    char byte;
    boost::system::error_code ec;
    s.timeout(50ms);
    s.read_some(boost::asio::buffer(&byte, 1), ec);
    s.timeout(patience);
    return ec == boost::asio::error::timed_out;
}

/** Answers every line with the line. */
inline void echo(stream& s)
{
    for (std::string line; s.read_line(line);)
        s.wfile() << line << '\n';
}

/** So many clients whose requests are in progress; their handlers echo. */
inline std::vector<client_stream> clients_inside(served const& server, std::size_t n)
{
    std::vector<client_stream> clients;
    while (clients.size() < n)
    {
        clients.push_back(server.client());
        BOOST_TEST(ask(clients.back(), "in") == "in");
    }
    return clients;
}

/** A listener that is full and never accepts: who connects to it waits. */
class full_listener
{
public:
    explicit full_listener(transport_side<stream> const& transport)
        : server_(transport.make("synchronous", unseen_, room_for_one(), transport.address(), echo))
        , first_(socketserver::connect(address(), patience))
    {
    }

    endpoint const& address() const noexcept { return server_->server_address(); }

private:
    static settings room_for_one()
    {
        settings set;
        set.request_queue_size = 0;
        return set;
    }

    observations unseen_;
    std::unique_ptr<base_server> server_;
    stream first_;
};

/** Makes the descriptors that a process makes once and keeps. */
struct first_use
{
    first_use()
    {
        socketserver::ready<socketserver::tcp_server> const server("127.0.0.1:0", echo);
        boost::asio::steady_timer const timer(stream().get_executor());
    }
};

} // namespace matrix

#endif
