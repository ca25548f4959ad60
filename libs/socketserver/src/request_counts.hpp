// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_REQUEST_COUNTS_HPP
#define SOCKETSERVER_SRC_REQUEST_COUNTS_HPP

#include "client_places.hpp"

#include <socketserver/counters.hpp>
#include <socketserver/request_place.hpp>

#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sys/types.h>

namespace socketserver {

class endpoint;

// What is counted of a server, in memory that its processes share: exact, without a lock, and not
// lost when one of them is killed.
//
// Each process has a slot of its own, so that they do not fight for one cache line.  Slots are given
// out by the process that made this.
//
// Any thread may call any member, slots aside.
class request_counts
{
public:
    enum counter
    {
        accepted,
        rejected,
        refused_at_limit,
        refused_per_client,
        failed,
        timed_out,
        crashed,
        accept_errors,
        bytes_received,
        bytes_sent,
        drained,
        aborted,
        killed,
        left_in_queue,
        number_of_counters
    };

    enum class admission
    {
        admitted,
        at_limit,
        too_many_of_client
    };

    // What the end of a request means.
    enum class phase
    {
        serving,
        closing,
        aborting
    };

    request_counts();
    ~request_counts();

    // Begins a phase of this process, unless a later one has begun.  For signal handlers, too.
    void enter(phase next) noexcept
    {
        auto now = phase_.load();
        while (now < next && !phase_.compare_exchange_weak(now, next))
        {
        }
        if (is_first())
            shared_->closes = true;
    }

    // Begins anew.
    void serve() noexcept
    {
        phase_ = phase::serving;
        if (is_first())
            shared_->closes = false;
    }

    // Begins anew in a process that was just forked: what the server does is not its to say.  For
    // the child of a worker, which dies with it: the worker's number; else 0.
    void after_fork(pid_t worker) noexcept
    {
        phase_ = phase::serving;
        worker_ = worker;
    }

    void add(counter c, std::uint64_t n = 1) noexcept
    {
        own_->values[c].fetch_add(n, std::memory_order_relaxed);
    }

    std::uint64_t total(counter c) const noexcept;

    // Requests in progress, in all processes.
    std::uint64_t active() const noexcept { return shared_->active.load(); }

    // Those of this process, and of its children.
    std::uint64_t own_active() const noexcept { return own_->active.load(); }

    // Call before the processes that share a limit per client are forked.
    void prepare_limit_per_client() { clients_.prepare(); }

    // Takes a place for a request.
    admission admit(request_place& place, endpoint const& client,
        std::optional<std::size_t> const& most, std::optional<std::size_t> const& most_of_client);

    // What the loop of this process obeys: false at first.
    std::atomic<bool>& stops() noexcept { return own_->stops; }

    // Gives a child that knows nothing of it the place that its parent holds and shares by `fate`.
    request_place place_of_child(
        request_place::client_key const& client, std::atomic<unsigned char>& fate) noexcept;

    server_counters snapshot() const noexcept;

    // Gives a slot for a process that is about to be forked.  Throws std::system_error: there are
    // as many processes as there can be.
    std::size_t new_slot();

    // What the process with the slot calls.
    void use_slot(std::size_t slot) noexcept;

    // The process with the slot has ended.  What it had in progress is over, and counted as such.
    void free_slot(std::size_t slot, counter lost) noexcept;

private:
    friend class request_place;

    // Begins with two cache lines, which is what processors fetch at once.
    struct alignas(128) slot
    {
        std::atomic<std::uint64_t> values[number_of_counters];
        std::atomic<std::uint64_t> active;
        // How many processes have had it: what is left of one's children is not for the next.
        std::atomic<std::uint32_t> generation;
        bool is_taken;
        std::atomic<bool> stops;

        // What has become of the places that the process shares with its children.
        static constexpr std::size_t most_fates = 896;
        std::atomic<unsigned char> fates[most_fates];
    };
    static_assert(sizeof(slot) == 1024);

    static constexpr std::size_t most_slots = 4096;

    struct alignas(128) memory
    {
        std::atomic<std::uint64_t> active;
        std::atomic<std::uint64_t> peak;
        // The server does, and not a worker alone, which is replaced.
        std::atomic<bool> closes;
        std::atomic<std::size_t> slots_used;
        slot slots[most_slots];
    };

    void leave(client_places::key const& client) noexcept;
    void leave_and_count(client_places::key const& client, bool has_crashed) noexcept;
    void leave_in_child(request_place const& place, bool aborted) noexcept;
    void count_child(unsigned char fate, bool has_crashed) noexcept;
    std::atomic<unsigned char>* take_fate() noexcept;
    void give_back_fate(std::atomic<unsigned char>* fate) noexcept;
    std::size_t slot_index() const noexcept;
    bool is_first() const noexcept { return own_ == &shared_->slots[0]; }

    std::atomic<phase> phase_{phase::serving};
    memory* shared_;
    slot* own_;
    pid_t worker_ = 0;
    // Which fates of this process's are in use, and where to look for one that is not.  Changed
    // with the lock of the children held.
    std::bitset<slot::most_fates> fates_in_use_;
    std::size_t next_fate_ = 0;
    client_places clients_;
};

} // namespace socketserver

#endif
