// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_CELLS_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_CELLS_HPP

#include "matrix_process.hpp"
#include "matrix_shared.hpp"
#include "sanitizer.hpp"

#include <socketserver/connect.hpp>
#include <socketserver/make_server.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace matrix {

using socketserver::base_server;
using socketserver::endpoint;
using socketserver::handler_factory;
using socketserver::stream;

// ---------------------------------------------------------------- what a test sees of a server

/** What the hooks of a server under test have seen, in whatever process. */
struct observations
{
    /** What handle_error() was given. */
    std::atomic<int> errors{0};
    note last_error;
    gate error_seen;

    /** Whether verify_request() says no. */
    std::atomic<bool> refuses{false};
    std::atomic<int> verified{0};

    /** The server is served, by all its workers if it has any. */
    gate begun;
    std::atomic<std::size_t> forked{0};
};

inline std::string text_of(std::exception_ptr error)
{
    try
    {
        std::rethrow_exception(error);
    }
    catch (boost::system::system_error const& e)
    {
        return e.code().message();
    }
    catch (std::exception const& e)
    {
        return e.what();
    }
    catch (int number)
    {
        return std::to_string(number);
    }
    catch (...)
    {
        return "something else";
    }
}

/** What can be set of a server under test. */
struct settings
{
    base_server::duration drain_timeout = patience;
    base_server::duration abort_timeout = patience;

    // So long that nothing may depend on it.
    base_server::duration poll_interval = 1h;

    // The N of a strategy whose text takes none.
    std::size_t max_coroutines = 1000;
};

/** A server whose hooks say what they see. */
template <class Server>
class observed : public Server
{
public:
    template <class... Arguments>
    observed(observations& seen, settings const& set, Arguments&&... arguments)
        : Server(std::forward<Arguments>(arguments)...)
        , seen_(seen)
    {
        this->drain_timeout = set.drain_timeout;
        this->abort_timeout = set.abort_timeout;
        if constexpr (requires { this->max_coroutines; })
            this->max_coroutines = set.max_coroutines;
    }

    bool verify_request(
        typename Server::request_type& request, endpoint const& client_address) override
    {
        ++seen_.verified;
        return Server::verify_request(request, client_address) && !seen_.refuses;
    }

    void handle_error(
        typename Server::request_type&, endpoint const&, std::exception_ptr error) override
    {
        seen_.last_error.write(text_of(error));
        ++seen_.errors;
        seen_.error_seen.open();
    }

protected:
    void serve(base_server::duration poll_interval) override
    {
        if constexpr (!socketserver::serving<Server>)
            seen_.begun.open();
        Server::serve(poll_interval);
    }

    void after_fork(socketserver::fork_role role) override
    {
        Server::after_fork(role);
        if constexpr (socketserver::serving<Server>)
            if (role == socketserver::fork_role::worker && ++seen_.forked == this->workers)
                seen_.begun.open();
    }

private:
    observations& seen_;
};

template <class Server>
using observed_ready = socketserver::ready<observed<Server>>;

// ---------------------------------------------------------------- the two sides of the matrix

/** One side: what connections are made of. */
struct transport_side
{
    char const* name;
    char const* address;
    std::unique_ptr<base_server> (*make)(socketserver::strategy const&, observations&,
        settings const&, endpoint, handler_factory<stream>);
};

template <class Server>
transport_side over(char const* name, char const* address)
{
    return {name, address,
        [](socketserver::strategy const& strategy, observations& seen, settings const& set,
            endpoint at, handler_factory<stream> handlers) {
            return socketserver::make_server<Server, observed_ready>(
                strategy, seen, set, std::move(at), std::move(handlers));
        }};
}

/** The transports; a new one is one line. */
inline std::vector<transport_side> const transports = {
    over<socketserver::tcp_server>("TCP", "127.0.0.1:0"),
};

/** The other side: who runs a request. */
struct strategy_side
{
    char const* text;

    /** How many requests it certainly runs at once, of those that matter here. */
    std::size_t at_once;

    /** Where a handler runs: in the test's own process, or in another. */
    bool own_process;
};

/** The strategies; a new one is one line. */
inline std::vector<strategy_side> const strategies = {
    {"synchronous", 1, true},
    {"threading", 4, true},
    {"thread-pool:4", 4, true},
    {"forking", 4, false},
    {"fork-server", 4, false},
    {"coroutine", 4, true},
    {"preforking:2", 2, false},
    {"preforking:2/threading", 4, false},
    {"preforking:2/thread-pool:4", 4, false},
    {"preforking:2/forking", 4, false},
    {"preforking:2/coroutine", 4, false},
};

/** Where both meet. */
struct cell
{
    strategy_side strategy;
    transport_side transport;

    friend std::ostream& operator<<(std::ostream& out, cell const& c)
    {
        return out << c.strategy.text << " over " << c.transport.name;
    }
};

inline std::vector<cell> cells_with(std::size_t at_once)
{
    std::vector<cell> result;
    for (auto const& transport : transports)
        for (auto const& strategy : strategies)
            if (strategy.at_once >= at_once)
                result.push_back({strategy, transport});
    return result;
}

/** Those that can be made beside threads, such as those of another server: the process that forks
    for others is made before the first thread. */
inline std::vector<cell> beside_threads(std::vector<cell> of)
{
    std::erase_if(
        of, [](cell const& c) { return std::string_view(c.strategy.text) == "fork-server"; });
    return of;
}

inline auto const cells = cells_with(1);
inline auto const cells_of_several = cells_with(2);

/** The cells without those that ThreadSanitizer could not abort, where a signal has to interrupt
    the only thread of a process: it keeps signals back, for as long as a call waits. */
inline auto const cells_to_abort = [] {
    auto result = cells;
#if defined(SOCKETSERVER_TEST_TSAN)
    std::erase_if(result, [](cell const& c) {
        std::string_view const text(c.strategy.text);
        return text == "preforking:2" || text.ends_with("forking") || text == "fork-server";
    });
#endif
    return result;
}();

/** A cell of the first transport, for tests of one strategy. */
inline cell cell_of(char const* text)
{
    return {{text, 1, true}, transports.front()};
}

// ---------------------------------------------------------------- a server that serves

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

/** A server under test, served by a thread of its own until this is destroyed. */
class served
{
public:
    served(cell const& where, handler_factory<stream> handlers, settings const& set = {})
        : served(
              [&](observations& seen) {
                  return where.transport.make(
                      where.strategy.text, seen, set, where.transport.address, std::move(handlers));
              },
              set.poll_interval)
    {
    }

    ~served() { end(); }

    base_server& server() noexcept { return *server_; }
    observations& seen() noexcept { return *seen_; }
    endpoint const& address() const noexcept { return address_; }
    client_stream client() const { return client_stream(address_); }

    /** Stops the loop, as its user does. */
    void stop()
    {
        server_->shutdown();
        join();
    }

    /** Waits until serve_forever() has returned. */
    void join()
    {
        if (loop_.joinable())
            loop_.join();
        BOOST_CHECK_EQUAL(loop_error_, "");
    }

    /** Stops and destroys the server. */
    void end()
    {
        if (!server_)
            return;
        stop();
        server_.reset();
    }

    /** Destroys the server under its loop. */
    void end_at_once()
    {
        server_.reset();
        join();
    }

protected:
    template <class Make>
    served(Make const& make, base_server::duration poll_interval)
        : seen_()
        , server_(make(*seen_))
        , address_(server_->server_address())
        , loop_([this, &server = *server_, poll_interval] {
            try
            {
                server.serve_forever(poll_interval);
            }
            catch (...)
            {
                loop_error_ = text_of(std::current_exception());
            }
        })
    {
        // AddressSanitizer's allocator does not survive a fork beside a thread that allocates.
        seen_->begun.wait();
    }

private:
    shared<observations> seen_;
    std::unique_ptr<base_server> server_;
    endpoint address_;
    std::string loop_error_;
    std::thread loop_;
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
                      socketserver::defer_activation, seen, set, "127.0.0.1:0", handlers);
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

// ---------------------------------------------------------------- a client that talks in lines

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

// ---------------------------------------------------------------- what is made on first use

/** Makes the descriptors that a process makes once and keeps. */
struct first_use
{
    first_use() { socketserver::ready<socketserver::tcp_server> const server("127.0.0.1:0", echo); }
};

} // namespace matrix

#endif
