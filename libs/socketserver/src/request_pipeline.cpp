// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/request_pipeline.hpp>

#include "current_request.hpp"
#include "request_counts.hpp"
#include "stream_io.hpp"

#include <socketserver/log.hpp>

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <cxxabi.h>
#include <string>
#include <utility>

namespace socketserver {

namespace {

enum class accept_failure
{
    again, // this one is gone, the next may be there
    wait,  // something is used up: it may be there later
    over   // the listener is of no use any more
};

// accept(2): errors that are pending on the new connection are passed on as accept's own, and are
// to be treated like EAGAIN.  What is not known here is waited out: that neither spins nor gives
// up.
accept_failure kind_of(boost::system::error_code const& ec) noexcept
{
    if (ec.category() != boost::system::system_category())
        return accept_failure::wait;
    switch (ec.value())
    {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
        return accept_failure::again;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
        return accept_failure::over;
    default:
        return accept_failure::wait;
    }
}

enum class ending
{
    ordinary, // the peer has gone, or the request was told to
    timed_out,
    failed
};

ending kind_of_end(boost::system::error_code const& ec) noexcept
{
    namespace error = boost::asio::error;
    if (ec == error::timed_out)
        return ending::timed_out;
    if (ec == error::eof || ec == error::connection_reset || ec == error::broken_pipe ||
        ec == error::operation_aborted)
        return ending::ordinary;
    return ending::failed;
}

// The handler has returned: the client that hears of it next may find its place free.
void give_back_place() noexcept
{
    if (current_request)
        current_request->give_back_place();
}

struct end_of_request
{
    ending kind = ending::failed;
    std::string what = "something that is not a std::exception was thrown";
};

end_of_request describe(std::exception_ptr const& error)
{
    try
    {
        std::rethrow_exception(error);
    }
    catch (boost::system::system_error const& e)
    {
        return {kind_of_end(e.code()), e.what()};
    }
    catch (std::exception const& e)
    {
        return {ending::failed, e.what()};
    }
    catch (...)
    {
        return {};
    }
}

} // namespace

// A request that a strategy has taken away from the loop.
template <class Request>
class request_pipeline<Request>::handed_over final : public active_request
{
public:
    handed_over(request_pipeline& pipeline, Request& request, endpoint const& client)
        : active_request(pipeline)
        , pipeline_(pipeline)
        , request_(std::move(request))
    {
        enter(client, &stream_io::bytes_of(request_));
    }

    ~handed_over() override
    {
        request_ = Request();
        leave();
    }

    void run() override
    {
        scope const current(this);
        pipeline_.run_request(request_, client());
    }

    Request take_back() noexcept { return std::move(request_); }

private:
    request_pipeline& pipeline_;
    Request request_;
};

template <class Request>
request_pipeline<Request>::request_pipeline(handler_factory<Request> handlers)
    : handlers_(std::move(handlers))
{
}

template <class Request>
request_pipeline<Request>::~request_pipeline() = default;

template <class Request>
bool request_pipeline<Request>::verify_request(Request&, endpoint const&)
{
    return true;
}

template <class Request>
void request_pipeline<Request>::process_request(Request& request, endpoint const& client_address)
{
    finish_request(request, client_address);
    give_back_place();
    shutdown_request(request);
}

template <class Request>
void request_pipeline<Request>::finish_request(Request& request, endpoint const& client_address)
{
    handlers_.run(request, client_address, *this);
}

template <class Request>
void request_pipeline<Request>::shutdown_request(Request& request)
{
    stream_io::linger(stream_io::bytes_of(request));
    close_request(request);
}

template <class Request>
void request_pipeline<Request>::close_request(Request& request)
{
    request.close();
}

template <class Request>
void request_pipeline<Request>::handle_error(
    Request&, endpoint const& client_address, std::exception_ptr error)
{
    auto const end = describe(error);
    auto const severity = end.kind == ending::ordinary    ? log_severity::debug
                          : end.kind == ending::timed_out ? log_severity::info
                                                          : log_severity::error;
    log(severity, client_address.str() + ": " + end.what);
}

template <class Request>
bool request_pipeline<Request>::take_request()
{
    bool const is_verified = kept_.has_value();
    std::optional<accepted> taken = std::exchange(kept_, std::nullopt);
    try
    {
        if (!taken)
            taken = get_request();
    }
    catch (abi::__forced_unwind const&)
    {
        throw;
    }
    catch (...)
    {
        return get_request_failed(std::current_exception());
    }
    if (!taken)
        return false;
    if (!is_verified)
        this->counts().add(request_counts::accepted);

    auto& current = this->loop_request();
    current.enter(taken->client_address, &stream_io::bytes_of(taken->request));
    active_request::scope const scope(&current);
    try
    {
        serve_request(*taken, is_verified);
        resume_taking();
    }
    catch (abi::__forced_unwind const&)
    {
        // The thread ends; the request with it.
        taken->request = Request();
        current.leave();
        throw;
    }
    catch (try_again_later const& e)
    {
        detach_request(taken->request);
        kept_ = std::move(taken);
        current.leave();
        pause_taking(e.what());
        return false;
    }
    // A hook may have left it open.
    taken->request = Request();
    current.leave();
    return true;
}

template <class Request>
void request_pipeline<Request>::serve_request(accepted& taken, bool is_verified)
{
    auto& [request, client_address] = taken;
    try
    {
        if (!is_verified && !verify_request(request, client_address))
        {
            this->counts().add(request_counts::rejected);
            shutdown_request(request);
        }
        else if (admit(taken))
            process_request(request, client_address);
        else
        {
            // The loop must not wait for a peer that takes nothing, nor for one that takes little
            // again and again.
            request.timeout(std::chrono::milliseconds(1));
            stream_io::bytes_of(request).deadline(std::chrono::milliseconds(10));
            refuse_request(request, client_address);
            shutdown_request(request);
        }
    }
    catch (abi::__forced_unwind const&)
    {
        throw;
    }
    catch (try_again_later const&)
    {
        throw;
    }
    catch (...)
    {
        contain_error(request, client_address, std::current_exception());
        give_back_place();
        contain_shutdown(request, client_address);
    }
}

// Gives the request a place, or tells why not.  What is to wait for one is thrown back to the loop.
template <class Request>
bool request_pipeline<Request>::admit(accepted& taken)
{
    auto& counts = this->counts();
    bool const refuses = this->when_full == at_limit::refuse;
    // Not after it was counted: it was never in progress.
    if (refuses && !this->has_room())
    {
        counts.add(request_counts::refused_at_limit);
        return false;
    }
    switch (counts.admit(this->loop_request().place, taken.client_address, this->max_active,
        this->max_active_per_client))
    {
    case request_counts::admission::too_many_of_client:
        counts.add(request_counts::refused_per_client);
        return false;
    case request_counts::admission::at_limit:
        // Another process was faster.
        if (!refuses)
            throw try_again_later("at its limit");
        counts.add(request_counts::refused_at_limit);
        return false;
    case request_counts::admission::admitted:
        break;
    }
    return true;
}

template <class Request>
void request_pipeline<Request>::refuse_request(Request&, endpoint const&)
{
}

template <class Request>
void request_pipeline<Request>::drop_kept_request() noexcept
{
    if (!kept_)
        return;
    this->counts().add(request_counts::refused_at_limit);
    log(log_severity::warning,
        kept_->client_address.str() + ": closed, as nothing could be had to serve it with");
    kept_.reset();
}

template <class Request>
bool request_pipeline<Request>::get_request_failed(std::exception_ptr error)
{
    this->counts().add(request_counts::accept_errors);
    try
    {
        std::rethrow_exception(error);
    }
    catch (boost::system::system_error const& e)
    {
        switch (kind_of(e.code()))
        {
        case accept_failure::again:
            log(log_severity::debug, std::string("a request was gone: ") + e.what());
            return true;
        case accept_failure::over:
            throw;
        case accept_failure::wait:
            pause_taking(e.what());
        }
    }
    catch (std::exception const& e)
    {
        pause_taking(e.what());
    }
    catch (...)
    {
        pause_taking("get_request() threw something unknown");
    }
    return false;
}

template <class Request>
void request_pipeline<Request>::hand_over(Request& request, endpoint const& client_address,
    std::function<void(std::unique_ptr<active_request>&&)> const& start)
{
    handed_over* handed = nullptr;
    std::unique_ptr<active_request> owner;
    try
    {
        auto made = std::make_unique<handed_over>(*this, request, client_address);
        handed = made.get();
        handed->place = std::move(this->loop_request().place);
        owner = std::move(made);
        start(std::move(owner));
    }
    catch (std::exception const& e)
    {
        std::string const why = e.what();
        if (owner)
        {
            request = handed->take_back();
            this->loop_request().place = std::move(handed->place);
            attach_request(request);
        }
        throw try_again_later(why);
    }
}

template <class Request>
void request_pipeline<Request>::detach_request(Request& request) noexcept
{
    stream_io::detach(stream_io::bytes_of(request));
}

template <class Request>
void request_pipeline<Request>::attach_request(Request& request) noexcept
{
    stream_io::attach(stream_io::bytes_of(request), this->loop_request());
}

template <class Request>
void request_pipeline<Request>::run_request(Request& request, endpoint const& client_address)
{
    try
    {
        finish_request(request, client_address);
    }
    catch (abi::__forced_unwind const&)
    {
        throw;
    }
    catch (...)
    {
        contain_error(request, client_address, std::current_exception());
    }
    give_back_place();
    contain_shutdown(request, client_address);
}

template <class Request>
void request_pipeline<Request>::contain_error(
    Request& request, endpoint const& client_address, std::exception_ptr error)
{
    try
    {
        if (auto const kind = describe(error).kind; kind != ending::ordinary)
            this->counts().add(
                kind == ending::timed_out ? request_counts::timed_out : request_counts::failed);
        handle_error(request, client_address, std::move(error));
    }
    catch (abi::__forced_unwind const&)
    {
        throw;
    }
    catch (std::exception const& e)
    {
        log(log_severity::error, e.what());
    }
    catch (...)
    {
        log(log_severity::error, "handle_error() threw something unknown");
    }
}

template <class Request>
void request_pipeline<Request>::contain_shutdown(Request& request, endpoint const& client_address)
{
    try
    {
        shutdown_request(request);
    }
    catch (abi::__forced_unwind const&)
    {
        throw;
    }
    catch (...)
    {
        contain_error(request, client_address, std::current_exception());
        request = Request();
    }
}

template class request_pipeline<stream>;
template class request_pipeline<datagram>;

} // namespace socketserver
