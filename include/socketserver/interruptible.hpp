// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_INTERRUPTIBLE_HPP
#define SOCKETSERVER_INTERRUPTIBLE_HPP

#include <socketserver/config.hpp>

#include <atomic>

namespace socketserver {

class active_request;

/** Something that is waited for, and whose wait another can end: what a request is aborted by.

    @par Thread safety
    @ref interrupt may be called from any thread at any time during the life of the object.
*/
class SOCKETSERVER_DECL interruptible
{
public:
    interruptible(interruptible const&) = delete;
    interruptible& operator=(interruptible const&) = delete;

    /** Make every wait fail, the pending ones too, with `operation_aborted`.

        @par Thread safety
        Any thread, and a signal handler.
    */
    void interrupt() noexcept
    {
        interrupted_.store(true);
        wake();
    }

    /** Return whether @ref interrupt was called.

        @return Whether every wait fails from now on.
    */
    bool interrupted() const noexcept { return interrupted_.load(std::memory_order_relaxed); }

    /** Leave the request that it was attached to, if it was. */
    void leave_request() noexcept;

protected:
    interruptible() noexcept;

    /** Leave the request that it was attached to. A class whose part in ending a wait uses its own
        members leaves it before they go. */
    virtual ~interruptible();

private:
    friend class active_request;

    // Ends what waits now.  Called by any thread and by signal handlers.
    virtual void wake() noexcept = 0;

    // Sends what is held back; called before its request waits.
    virtual void flush_pending() noexcept;

    // It is no longer in a request.
    virtual void left_request() noexcept;

    // What it waits for, or -1.
    virtual int waits_for() const noexcept;

    std::atomic<bool> interrupted_{false};
    active_request* request_ = nullptr;
    std::atomic<interruptible*> next_{nullptr};
};

} // namespace socketserver

#endif
