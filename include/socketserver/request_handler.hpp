// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_REQUEST_HANDLER_HPP
#define SOCKETSERVER_REQUEST_HANDLER_HPP

#include <socketserver/config.hpp>
#include <socketserver/datagram.hpp>
#include <socketserver/endpoint.hpp>
#include <socketserver/stream.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <istream>
#include <optional>
#include <ostream>
#include <string_view>

namespace socketserver {

class base_server;

/** A conversation over one request: set up, handle, finish.

    The library makes one object a request, tells it the request, and calls the three steps in
    order, all in the thread, process or coroutine that the server's strategy chose. See Python's
    `socketserver.BaseRequestHandler`.

    @tparam Request What is handled: @ref stream or @ref datagram.
*/
template <class Request>
class base_request_handler
{
public:
    base_request_handler(base_request_handler const&) = delete;
    base_request_handler& operator=(base_request_handler const&) = delete;

    virtual ~base_request_handler() = default;

    /** @name Methods to override */
    /** @{ */

    /** Prepare. Does nothing. If it throws, neither of the others is called. */
    virtual void setup() {}

    /** Serve the request. */
    virtual void handle() = 0;

    /** Clean up. Does nothing. Called whenever @ref setup succeeded, after @ref handle threw
        too. */
    virtual void finish() {}

    /** @} */
    /** @name What is handled: from setup() on, not in the constructor */
    /** @{ */

    /** Return the request.

        @return The request; it lives as long as the handler.
    */
    Request& request() const noexcept { return *request_; }

    /** Return who asked.

        @return The endpoint of the client; it lives as long as the handler.
    */
    endpoint const& client_address() const noexcept { return *client_address_; }

    /** Return the server.

        @return The server; it outlives the handler.
    */
    base_server& server() const noexcept { return *server_; }

    /** @} */

    /** Handle a request: tell the handler of it, then setup(), handle() and finish().

        @param request The request.
        @param client_address Who asked.
        @param server The server.
        @throws ... What a step throws; if both handle() and finish() throw, what handle() threw,
        and the other is logged.

        @par Called by
        `finish_request`.
    */
    void run(Request& request, endpoint const& client_address, base_server& server);

protected:
    base_request_handler() = default;

private:
    // The library's own share of setup and finish, so that overriding those loses nothing.
    virtual void attached() {}
    virtual void handled() {}
    virtual void finished() {}

    void log_second(std::exception_ptr error) const noexcept;

    Request* request_ = nullptr;
    endpoint const* client_address_ = nullptr;
    base_server* server_ = nullptr;
};

extern template class SOCKETSERVER_DECL base_request_handler<stream>;
extern template class SOCKETSERVER_DECL base_request_handler<datagram>;

/** A conversation over a connection: derive from it and override handle().

    @code
    class greeter : public socketserver::stream_request_handler
    {
        void handle() override
        {
            for (std::string line; std::getline(rfile(), line);)
                wfile() << "hello, " << line << '\n';
        }
    };
    @endcode

    Attributes are set in the constructor of the derived class and applied before setup(). See
    Python's `socketserver.StreamRequestHandler`.
*/
class SOCKETSERVER_DECL stream_request_handler : public base_request_handler<stream>
{
public:
    ~stream_request_handler() override;

    /** The longest time that one operation may wait without moving a byte; none by default. */
    std::optional<std::chrono::nanoseconds> timeout;

    /** The longest time that the whole conversation may take; none by default. When it is over,
        nothing can be sent either: see `stream::deadline`, which moves it. */
    std::optional<std::chrono::nanoseconds> deadline;

    /** Bytes that @ref rfile reads ahead at most, up to 1 MiB; 0 reads byte by byte. */
    std::size_t rbufsize = 8192;

    /** Bytes that @ref wfile holds back at most, up to 1 MiB; 0 sends every insertion at once. */
    std::size_t wbufsize = 8192;

    /** Whether small pieces are sent at once (TCP_NODELAY); without effect where it has no
        meaning. */
    bool disable_nagle_algorithm = false;

    /** Return `request().rfile()`.

        @return A standard stream that reads from the client.
    */
    std::istream& rfile() const { return request().rfile(); }

    /** Return `request().wfile()`.

        @return A standard stream that writes to the client.
    */
    std::ostream& wfile() const { return request().wfile(); }

private:
    void attached() final;
    void handled() final;
    void finished() final;
};

/** A conversation over a datagram: derive from it and override handle().

    @code
    class upper : public socketserver::datagram_request_handler
    {
        void handle() override
        {
            wfile() << boost::to_upper_copy(std::string(packet()));
        }
    };
    @endcode

    What handle() writes to @ref wfile is sent as one datagram when finish() has returned, after
    handle() has thrown as well; nothing is sent where nothing was written. If it cannot be sent,
    that goes to `handle_error`. See Python's `socketserver.DatagramRequestHandler`.
*/
class SOCKETSERVER_DECL datagram_request_handler : public base_request_handler<datagram>
{
public:
    ~datagram_request_handler() override;

    /** The longest time that sending an answer may wait for room; none for as long as it takes. Set
        in the constructor of the derived class. */
    std::optional<std::chrono::nanoseconds> timeout = std::chrono::seconds(1);

    /** Return `request().packet()`.

        @return What was received.
    */
    std::string_view packet() const noexcept { return request().packet(); }

    /** Return `request().rfile()`.

        @return A standard stream that reads the datagram.
    */
    std::istream& rfile() const { return request().rfile(); }

    /** Return `request().wfile()`.

        @return A standard stream that collects the answer.
    */
    std::ostream& wfile() const { return request().wfile(); }

private:
    void attached() final;
    void handled() final;
    void finished() final;
};

} // namespace socketserver

#endif
