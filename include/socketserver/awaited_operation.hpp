// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_AWAITED_OPERATION_HPP
#define SOCKETSERVER_AWAITED_OPERATION_HPP

#include <socketserver/config.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace socketserver {

/** What @ref this_request::await gives an asynchronous operation as its completion token. */
struct await_token
{
};

/** An asynchronous operation of Asio's that somebody waits for.

    @par Thread safety
    Used by the thread or coroutine that waits, but for @ref complete.
*/
class SOCKETSERVER_DECL awaited_operation
{
public:
    /** Prepare to wait for an operation, and see to it that a thread completes it.

        @throws std::system_error There is no thread for that.
        @throws boost::system::system_error There is no descriptor for that.
    */
    awaited_operation();

    awaited_operation(awaited_operation const&) = delete;
    awaited_operation& operator=(awaited_operation const&) = delete;

    /** The operation has ended, or was never begun. */
    ~awaited_operation();

    /** Wait until the operation has ended.

        An abort of the request, or a call with `cancel`, cancels it. It is waited for even then,
        for it uses what its caller owns. Waiting again changes nothing.

        @param cancel Whether to cancel it now if it has not ended.
        @return `operation_aborted` if the request was aborted.
    */
    boost::system::error_code wait(bool cancel = false) noexcept;

    /** End it.

        @par Thread safety
        Any thread, once.
    */
    void complete() noexcept;

    /** Return what cancels it.

        @return The slot, for the handler of the operation.
    */
    boost::asio::cancellation_slot slot() noexcept;

    /** Return where it is completed and cancelled.

        @return The executor, for the handler of the operation.
    */
    boost::asio::any_io_executor const& executor() const noexcept;

private:
    struct state;
    std::unique_ptr<state> state_;
};

/** An operation that was begun with @ref await_token, and what it gives.

    One that is destroyed without having been waited for is cancelled, and waited for.

    @tparam Arguments What its handler is called with.
*/
template <class... Arguments>
class awaited_result
{
    struct box : awaited_operation
    {
        // One that was not waited for is cancelled, and waited for.
        ~box() { this->wait(true); }

        std::optional<std::tuple<Arguments...>> result;
    };

    // A handler that is destroyed without having been called ends the wait as well.
    class completion
    {
    public:
        using cancellation_slot_type = boost::asio::cancellation_slot;
        using executor_type = boost::asio::any_io_executor;

        explicit completion(box& to) noexcept
            : box_(&to)
            , executor_(to.executor())
            , slot_(to.slot())
        {
        }

        completion(completion&& other) noexcept
            : box_(std::exchange(other.box_, nullptr))
            , executor_(std::move(other.executor_))
            , slot_(other.slot_)
        {
        }

        ~completion()
        {
            if (box_)
                box_->complete();
        }

        template <class... Given>
        void operator()(Given&&... given)
        {
            box_->result.emplace(std::forward<Given>(given)...);
            std::exchange(box_, nullptr)->complete();
        }

        cancellation_slot_type get_cancellation_slot() const noexcept { return slot_; }
        executor_type const& get_executor() const noexcept { return executor_; }

    private:
        box* box_;
        executor_type executor_;
        cancellation_slot_type slot_;
    };

public:
    /** Begin an operation.

        @param initiate Begins it, with a handler.
        @param arguments What `initiate` takes after the handler.
        @throws boost::system::system_error See @ref awaited_operation.
    */
    template <class Initiate, class... Initial>
    explicit awaited_result(std::in_place_t, Initiate&& initiate, Initial&&... arguments)
        : box_(std::make_unique<box>())
    {
        std::forward<Initiate>(initiate)(completion(*box_), std::forward<Initial>(arguments)...);
    }

    /** Wait for the end of the operation.

        @param ec What the operation said, or `operation_aborted`.
        @return What it gave: nothing, one value, or a tuple of them.
        @throws boost::system::system_error It was destroyed before it ended, and what it gives has
        no value by default.
        @throws ... The exception that it gave as its first argument.
    */
    auto get(boost::system::error_code& ec) &&
    {
        auto const done = std::move(box_);
        auto const aborted = done->wait();
        ec = aborted;
        // One that ended without a word was taken down with its objects.
        if (!done->result)
            ec = boost::asio::error::operation_aborted;
        else if constexpr (begins_with<boost::system::error_code>)
        {
            if (!aborted)
                ec = std::get<0>(*done->result);
        }
        else if constexpr (begins_with<std::exception_ptr>)
        {
            if (auto const thrown = std::get<0>(*done->result); thrown && !aborted)
                std::rethrow_exception(thrown);
        }
        return values(done->result, std::make_index_sequence<sizeof...(Arguments) - skipped>());
    }

private:
    template <class First>
    static constexpr bool begins_with = [] {
        if constexpr (sizeof...(Arguments) == 0)
            return false;
        else
            return std::same_as<std::tuple_element_t<0, std::tuple<Arguments...>>, First>;
    }();

    static constexpr std::size_t skipped =
        begins_with<boost::system::error_code> || begins_with<std::exception_ptr> ? 1 : 0;

    template <std::size_t... I>
    static auto values(
        [[maybe_unused]] std::optional<std::tuple<Arguments...>>& result, std::index_sequence<I...>)
    {
        using all = std::tuple<std::tuple_element_t<skipped + I, std::tuple<Arguments...>>...>;
        if constexpr (sizeof...(I) != 0)
        {
            if constexpr (std::default_initializable<all>)
                if (!result)
                    result.emplace();
            if (!result)
                throw boost::system::system_error(boost::asio::error::operation_aborted, "await");
            if constexpr (sizeof...(I) == 1)
                return std::get<skipped>(std::move(*result));
            else
                return all(std::get<skipped + I>(std::move(*result))...);
        }
    }

    std::unique_ptr<box> box_;
};

} // namespace socketserver

/** Begins an operation whose end @ref socketserver::this_request::await waits for. */
template <class... Arguments>
class boost::asio::async_result<socketserver::await_token, void(Arguments...)>
{
public:
    /** What the initiating function returns. */
    using return_type = socketserver::awaited_result<std::decay_t<Arguments>...>;

    /** Begin the operation.

        @param initiation Begins it, with a handler.
        @param arguments What `initiation` takes after the handler.
        @return The operation.
    */
    template <class Initiation, class... Initial>
    static return_type initiate(
        Initiation&& initiation, socketserver::await_token, Initial&&... arguments)
    {
        return return_type(std::in_place, std::forward<Initiation>(initiation),
            std::forward<Initial>(arguments)...);
    }
};

#endif
