// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "request_counts.hpp"

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <functional>
#include <new>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace socketserver {

request_counts::request_counts()
{
    // All zero, and only what is used takes memory.
    void* const pages = ::mmap(nullptr, sizeof(memory), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        throw boost::system::system_error(errno, boost::system::system_category(), "mmap");
    shared_ = static_cast<memory*>(pages);
    shared_->slots_used = 1;
    own_ = &shared_->slots[0];
    own_->is_taken = true;
}

request_counts::~request_counts()
{
    ::munmap(shared_, sizeof(memory));
}

std::uint64_t request_counts::total(counter c) const noexcept
{
    std::uint64_t sum = 0;
    for (std::size_t i = 0, n = shared_->slots_used; i < n; ++i)
        sum += shared_->slots[i].values[c].load(std::memory_order_relaxed);
    return sum;
}

request_counts::admission request_counts::admit(request_place& place, endpoint const& client,
    std::optional<std::size_t> const& most, std::optional<std::size_t> const& most_of_client)
{
    client_places::key key{};
    if (most_of_client)
    {
        key = client_places::key_of(client);
        if (!clients_.enter(key, slot_index(), *most_of_client))
            return admission::too_many_of_client;
    }
    // The sum is never less than its parts, not even where a process is killed in between: below zero
    // it would be beyond every limit.
    auto const active = shared_->active.fetch_add(1) + 1;
    own_->active.fetch_add(1);
    if (most && active > *most)
    {
        leave(key);
        return admission::at_limit;
    }
    auto peak = shared_->peak.load(std::memory_order_relaxed);
    while (peak < active && !shared_->peak.compare_exchange_weak(peak, active))
    {
    }
    place = request_place(*this, key);
    return admission::admitted;
}

void request_counts::leave(client_places::key const& client) noexcept
{
    own_->active.fetch_sub(1);
    shared_->active.fetch_sub(1);
    clients_.leave(client, slot_index());
}

// How it ended, and whether that was on the way down.
void request_counts::leave_and_count(client_places::key const& client, bool has_crashed) noexcept
{
    auto const now = phase_.load();
    if (has_crashed)
        add(now == phase::serving ? crashed : killed);
    else if (now != phase::serving && shared_->closes)
        add(now == phase::closing ? drained : aborted);
    leave(client);
}

namespace {

// What has become of a place in a child process.
enum fate : unsigned char
{
    held,
    ended,
    ended_in_time,
    ended_by_abort
};

} // namespace

// First it is said, then done: a child that is killed in between leaves one place too many taken,
// and not one too few, which below zero would be beyond every limit.
void request_counts::leave_in_child(request_place const& place, bool aborted) noexcept
{
    // The process that forked it is gone, and what it had with it.
    if (own_->generation.load() != place.generation_)
        return;
    // It is gone, and has not been reaped yet.
    if (worker_ != 0 && ::getppid() != worker_)
        return;
    place.fate_->store(!shared_->closes ? ended : aborted ? ended_by_abort : ended_in_time);
    leave(place.client_);
}

void request_counts::count_child(unsigned char fate, bool has_crashed) noexcept
{
    if (has_crashed)
        add(phase_.load() == phase::serving ? crashed : killed);
    else if (fate != ended)
        add(fate == ended_in_time ? drained : aborted);
}

request_place request_counts::place_of_child(
    request_place::client_key const& client, std::atomic<unsigned char>& fate) noexcept
{
    request_place place(*this, client);
    place.share(fate);
    return place;
}

// Gives none where all are in use: a place is then given back when its child has been reaped.
std::atomic<unsigned char>* request_counts::take_fate() noexcept
{
    if (fates_in_use_.all())
        return nullptr;
    while (fates_in_use_[next_fate_])
        next_fate_ = (next_fate_ + 1) % slot::most_fates;
    fates_in_use_.set(next_fate_);
    return &own_->fates[next_fate_];
}

void request_counts::give_back_fate(std::atomic<unsigned char>* fate) noexcept
{
    // A fork server keeps its own.
    std::less<> const before;
    if (!fate || before(fate, own_->fates) || !before(fate, own_->fates + slot::most_fates))
        return;
    *fate = held;
    next_fate_ = static_cast<std::size_t>(fate - own_->fates);
    fates_in_use_.reset(next_fate_);
}

std::size_t request_counts::slot_index() const noexcept
{
    return static_cast<std::size_t>(own_ - shared_->slots);
}

server_counters request_counts::snapshot() const noexcept
{
    server_counters c;
    c.accepted = total(accepted);
    c.active = active();
    c.peak = shared_->peak;
    c.rejected = total(rejected);
    c.refused_at_limit = total(refused_at_limit);
    c.refused_per_client = total(refused_per_client);
    c.failed = total(failed);
    c.timed_out = total(timed_out);
    c.crashed = total(crashed);
    c.accept_errors = total(accept_errors);
    c.bytes_received = total(bytes_received);
    c.bytes_sent = total(bytes_sent);
    return c;
}

std::size_t request_counts::new_slot()
{
    for (std::size_t i = 1; i < most_slots; ++i)
        if (!std::exchange(shared_->slots[i].is_taken, true))
        {
            if (shared_->slots_used <= i)
                shared_->slots_used = i + 1;
            shared_->slots[i].stops = false;
            for (auto& fate : shared_->slots[i].fates)
                fate = held;
            return i;
        }
    throw std::system_error(EAGAIN, std::generic_category(), "more workers than can be");
}

void request_counts::use_slot(std::size_t slot) noexcept
{
    own_ = &shared_->slots[slot];
    fates_in_use_.reset();
}

void request_counts::free_slot(std::size_t slot, counter lost) noexcept
{
    auto& left = shared_->slots[slot];
    ++left.generation;
    left.is_taken = false;
    clients_.forget(slot);
    auto const n = left.active.exchange(0);
    // First, for whoever sees that none is in progress.
    add(lost, n);
    shared_->active.fetch_sub(n);
}

request_place::request_place(request_counts& counts, client_key const& client) noexcept
    : counts_(&counts)
    , client_(client)
{
}

request_place::request_place(request_place&& other) noexcept
{
    *this = std::move(other);
}

request_place& request_place::operator=(request_place&& other) noexcept
{
    std::swap(counts_, other.counts_);
    std::swap(client_, other.client_);
    std::swap(fate_, other.fate_);
    std::swap(generation_, other.generation_);
    std::swap(in_child_, other.in_child_);
    return *this;
}

request_place::~request_place()
{
    give_back();
}

// What the child has said.
unsigned char request_place::said() const noexcept
{
    return fate_ ? fate_->load() : static_cast<unsigned char>(held);
}

void request_place::give_back(bool aborted) noexcept
{
    auto* const counts = std::exchange(counts_, nullptr);
    if (!counts)
        return;
    if (in_child_)
        return counts->leave_in_child(*this, aborted);
    if (unsigned char const fate = said(); fate != held)
        counts->count_child(fate, false);
    else
        counts->leave_and_count(client_, false);
    counts->give_back_fate(fate_);
}

void request_place::crashed() noexcept
{
    auto* const counts = std::exchange(counts_, nullptr);
    if (!counts)
        return;
    if (unsigned char const fate = said(); fate != held)
        counts->count_child(fate, true);
    else
        counts->leave_and_count(client_, true);
    counts->give_back_fate(fate_);
}

void request_place::refused() noexcept
{
    if (counts_)
        counts_->add(request_counts::refused_at_limit);
    give_back();
}

void request_place::share(std::atomic<unsigned char>& fate) noexcept
{
    if (!counts_)
        return;
    fate_ = &fate;
    generation_ = counts_->own_->generation.load();
}

void request_place::share() noexcept
{
    if (counts_)
        if (auto* const fate = counts_->take_fate())
            share(*fate);
}

void request_place::keep() noexcept
{
    if (counts_)
        counts_->give_back_fate(std::exchange(fate_, nullptr));
}

void request_place::after_fork() noexcept
{
    in_child_ = true;
    if (!fate_)
        counts_ = nullptr;
}

} // namespace socketserver
