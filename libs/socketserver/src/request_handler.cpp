// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/request_handler.hpp>

#include "stream_io.hpp"

#include <socketserver/base_server.hpp>
#include <socketserver/log.hpp>
#include <socketserver/time_after.hpp>

#include <boost/system/system_error.hpp>

#include <cxxabi.h>
#include <string>

namespace socketserver {

template <class Request>
void base_request_handler<Request>::run(
    Request& request, endpoint const& client_address, base_server& server)
{
    request_ = &request;
    client_address_ = &client_address;
    server_ = &server;
    attached();
    setup();

    std::exception_ptr first;
    auto const step = [&](auto const& f) {
        try
        {
            f();
        }
        catch (abi::__forced_unwind const&)
        {
            throw;
        }
        catch (...)
        {
            if (first)
                log_second(std::current_exception());
            else
                first = std::current_exception();
        }
    };
    step([this] { handle(); });
    if (!first)
        step([this] { handled(); });
    step([this] { finish(); });
    step([this] { finished(); });
    if (first)
        std::rethrow_exception(first);
}

template <class Request>
void base_request_handler<Request>::log_second(std::exception_ptr error) const noexcept
{
    try
    {
        auto const prefix = client_address_->str() + ": finish(), after handle() had thrown: ";
        try
        {
            std::rethrow_exception(error);
        }
        catch (std::exception const& e)
        {
            log(log_severity::error, prefix + e.what());
        }
        catch (...)
        {
            log(log_severity::error, prefix + "not a std::exception");
        }
    }
    catch (...)
    {
        log(log_severity::error, "finish() has thrown after handle() had");
    }
}

template class base_request_handler<stream>;
template class base_request_handler<datagram>;

stream_request_handler::~stream_request_handler() = default;

void stream_request_handler::attached()
{
    auto& s = request();
    stream_io::mark_served(s);
    if (timeout)
        s.timeout(timeout);
    if (deadline)
        s.deadline(time_after(*deadline));
    s.buffer_sizes(rbufsize, wbufsize);
    if (disable_nagle_algorithm)
        s.disable_nagle_algorithm();
}

void stream_request_handler::handled()
{
    stream_io::throw_unseen_error(request());
}

void stream_request_handler::finished()
{
    auto* const bytes = stream_io::of(request());
    if (!bytes)
        return;
    boost::system::error_code ec;
    stream_io::flush(*bytes, ec);
    if (ec)
        log(log_severity::debug,
            client_address().str() + ": what was written last could not be sent: " + ec.message());
}

datagram_request_handler::~datagram_request_handler() = default;

void datagram_request_handler::attached()
{
    request().timeout(timeout);
}

void datagram_request_handler::handled()
{
    stream_io::throw_unseen_error(stream_io::bytes_of(request()));
}

void datagram_request_handler::finished()
{
    boost::system::error_code ec;
    request().finish(ec);
    if (ec)
        throw boost::system::system_error(ec, "send");
}

} // namespace socketserver
