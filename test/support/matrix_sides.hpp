// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_SIDES_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_SIDES_HPP

#include "folder.hpp"
#include "matrix_observed.hpp"
#include "sanitizer.hpp"

#include <socketserver/make_server.hpp>

#include <boost/system/errc.hpp>
#include <boost/system/error_condition.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
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

using socketserver::handler_factory;

/** One side of the matrix: what requests come by. */
template <class Request>
struct transport_side
{
    char const* name;

    /** Gives an address that no other server has. */
    endpoint (*address)();

    std::unique_ptr<base_server> (*make)(socketserver::strategy const&, observations&,
        settings const&, endpoint, handler_factory<Request>);

    bool is_unix() const { return address().family() == socketserver::address_family::unix_domain; }

    /** What connecting ends in where a server has been: the file of a Unix socket went with it. */
    boost::system::error_condition nobody_there() const
    {
        using namespace boost::system::errc;
        return make_error_condition(is_unix() ? no_such_file_or_directory : connection_refused);
    }

    friend std::ostream& operator<<(std::ostream& out, transport_side const& t)
    {
        return out << t.name;
    }
};

template <class Server>
transport_side<typename Server::request_type> over(char const* name, endpoint (*address)())
{
    return {name, address,
        [](socketserver::strategy const& strategy, observations& seen, settings const& set,
            endpoint at, handler_factory<typename Server::request_type> handlers) {
            return socketserver::make_server<Server, observed_ready>(
                strategy, seen, set, std::move(at), std::move(handlers));
        }};
}

/** A port of this computer's own that the system chooses. */
inline endpoint some_port()
{
    return "127.0.0.1:0";
}

/** Where the files of Unix sockets are. */
inline support::folder const folder_of_sockets;

/** A path that is free. */
inline endpoint some_path()
{
    static std::atomic<int> n{0};
    return support::unix_endpoint(folder_of_sockets / std::to_string(++n));
}

/** The other side: who runs a request. */
struct strategy_side
{
    char const* text;

    /** How many requests it certainly runs at once, of those that matter here. */
    std::size_t at_once;

    /** Where a handler runs: in the test's own process, or in another. */
    bool own_process;

    bool preforks() const { return socketserver::strategy(text).preforks(); }
};

/** The strategies; a new one is one line. */
inline std::vector<strategy_side> const strategies = {
    {"synchronous", 1, true},
    {"threading", 4, true},
    {"thread-pool:4", 4, true},
    {"forking", 4, false},
    {"fork-server", 4, false},
    {"coroutine", 4, true},
    {"coroutine:2", 4, true},
    {"preforking:2", 2, false},
    {"preforking:2/threading", 4, false},
    {"preforking:2/thread-pool:4", 4, false},
    {"preforking:2/forking", 4, false},
    {"preforking:2/coroutine", 4, false},
    {"preforking:2/coroutine:2", 4, false},
};

/** Where both meet. */
template <class Request>
struct cell_of_requests
{
    strategy_side strategy;
    transport_side<Request> transport;

    friend std::ostream& operator<<(std::ostream& out, cell_of_requests const& c)
    {
        return out << c.strategy.text << " over " << c.transport.name;
    }
};

/** All cells of some transports in which something holds. */
template <class Request, class Condition>
std::vector<cell_of_requests<Request>> cells_where(
    std::vector<transport_side<Request>> const& transports, Condition const& condition)
{
    std::vector<cell_of_requests<Request>> result;
    for (auto const& transport : transports)
        for (auto const& strategy : strategies)
            if (condition(strategy))
                result.push_back({strategy, transport});
    return result;
}

/** Those that can be made beside threads, such as those of another server: the process that forks
    for others is made before the first thread. */
template <class Request>
std::vector<cell_of_requests<Request>> beside_threads(std::vector<cell_of_requests<Request>> of)
{
    std::erase_if(of, [](cell_of_requests<Request> const& c) {
        return std::string_view(c.strategy.text) == "fork-server";
    });
    return of;
}

inline bool any(strategy_side const&)
{
    return true;
}

inline bool runs_several(strategy_side const& s)
{
    return s.at_once > 1;
}

/** Not where ThreadSanitizer could not abort, because a signal has to interrupt the only thread of
    a process: it keeps signals back, for as long as a call waits. */
inline bool can_be_aborted([[maybe_unused]] strategy_side const& s)
{
#if defined(SOCKETSERVER_TEST_TSAN)
    std::string_view const text(s.text);
    return text != "preforking:2" && text != "fork-server" && !text.ends_with("forking");
#else
    return true;
#endif
}

/** Where the loop ends before the request does: it neither runs the request itself nor waits for it. */
inline bool leaves_its_requests(strategy_side const& s)
{
    std::string_view const text(s.text);
    return text != "synchronous" && text != "coroutine";
}

/** A strategy at its limit, how many it runs and how many more it takes. */
struct limited
{
    char const* text;
    std::size_t runs;
    std::size_t queues = 0;

    friend std::ostream& operator<<(std::ostream& out, limited const& l)
    {
        return out << l.text << ", which runs " << l.runs;
    }
};

/** The strategies at their limits; what N is of a coroutine is among the @ref settings. */
inline std::vector<limited> const at_the_limit = {
    {"synchronous", 1},
    {"threading:2", 2},
    {"thread-pool:2", 2, 2},
    {"forking:2", 2},
    {"fork-server:2", 2},
    {"coroutine", 2},
    {"coroutine:2", 2},
    {"preforking:2", 2},
    {"preforking:1/threading:2", 2},
    {"preforking:1/thread-pool:2", 2, 2},
    {"preforking:1/forking:2", 2},
    {"preforking:1/coroutine", 2},
    {"preforking:1/coroutine:2", 2},
};

inline settings of_two_coroutines()
{
    settings set;
    set.max_coroutines = 2;
    return set;
}

/** A server that is at its limit with two requests in progress, in all of its processes. */
inline settings two_at_once(socketserver::at_limit next)
{
    settings set;
    set.max_active = 2;
    set.when_full = next;
    return set;
}

/** Where a loop looks at the next request although two are in progress: each of two synchronous
    workers is in one. */
inline bool looks_beyond(strategy_side const& s)
{
    return runs_several(s) && std::string_view(s.text) != "preforking:2";
}

/** Where a loop hears that it is to end although requests are in progress, and they can be aborted. */
inline bool hears_while_it_runs(strategy_side const& s)
{
    return looks_beyond(s) && can_be_aborted(s);
}

/** The strategies in which the caller runs a request when their one thread is busy. */
inline std::vector<char const*> const whose_caller_runs = {
    "threading:1", "thread-pool:1", "preforking:1/threading:1", "preforking:1/thread-pool:1"};

/** The strategies at their limits that look at one request more. */
inline auto const at_the_limit_and_look = [] {
    auto result = at_the_limit;
    std::erase_if(result, [](limited const& l) {
        std::string_view const text(l.text);
        return text == "synchronous" || text == "preforking:2";
    });
    return result;
}();

/** A server under test, served by a thread of its own until this is destroyed. */
class in_service
{
public:
    in_service(in_service const&) = delete;
    in_service& operator=(in_service const&) = delete;

    ~in_service() { end(); }

    base_server& server() noexcept { return *server_; }
    observations& seen() noexcept { return *seen_; }
    endpoint const& address() const noexcept { return address_; }

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
    in_service(Make const& make, base_server::duration poll_interval)
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
    }

private:
    shared<observations> seen_;
    std::unique_ptr<base_server> server_;
    endpoint address_;
    std::string loop_error_;
    std::thread loop_;
};

} // namespace matrix

#endif
