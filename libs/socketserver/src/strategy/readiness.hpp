// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STRATEGY_READINESS_HPP
#define SOCKETSERVER_SRC_STRATEGY_READINESS_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace socketserver {

enum class wait_direction
{
    receive,
    send
};

// What is known of a descriptor that may have to be waited for.  It says "ready" until an operation
// finds otherwise.
struct readiness
{
    static constexpr std::uint32_t no_slot = ~std::uint32_t{0};

    bool readable = true;
    bool writable = true;
    bool hung_up = false;

    // Of the set that watches it.
    bool watches_send = false;
    std::uint32_t slot = no_slot;

    bool may(wait_direction d) const noexcept
    {
        return d == wait_direction::receive ? readable || hung_up : writable || hung_up;
    }

    bool is_watched() const noexcept { return slot != no_slot; }
};

// What a wait has found.
class readiness_events
{
public:
    static constexpr std::size_t most = 256;

    bool is_full() const noexcept { return size_ == most; }
    void add(readiness& r) noexcept { ready_[size_++] = &r; }
    readiness* const* begin() const noexcept { return ready_.data(); }
    readiness* const* end() const noexcept { return ready_.data() + size_; }

    // Somebody has called wake().
    bool woken = false;

private:
    std::size_t size_ = 0;
    std::array<readiness*, most> ready_;
};

// Where an event goes.  It carries a name, not an address: when it comes, the descriptor may have
// been closed, and its number and its slot be another's.
class readiness_slots
{
public:
    using name = std::uint64_t;

    readiness_slots() = default;
    readiness_slots(readiness_slots const&) = delete;
    readiness_slots& operator=(readiness_slots const&) = delete;

    // What is watched may outlive who watches it, and be watched by another.
    ~readiness_slots()
    {
        for_each([](readiness& r) { r.slot = readiness::no_slot; });
    }

    // Throws bad_alloc.
    void add(readiness& r)
    {
        if (free_.empty())
        {
            slots_.emplace_back();
            // remove() must not fail.
            free_.reserve(slots_.capacity());
            free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
        }
        r.slot = free_.back();
        free_.pop_back();
        slots_[r.slot].target = &r;
    }

    void remove(readiness& r) noexcept
    {
        slots_[r.slot].target = nullptr;
        ++slots_[r.slot].generation;
        free_.push_back(r.slot);
        r.slot = readiness::no_slot;
    }

    name name_of(readiness const& r) const noexcept
    {
        return r.slot | name(slots_[r.slot].generation) << 32;
    }

    // Null for one that was removed.
    readiness* find(name n) const noexcept
    {
        auto const& s = slots_[static_cast<std::uint32_t>(n)];
        return s.generation == n >> 32 ? s.target : nullptr;
    }

    template <class Function>
    void for_each(Function f) const
    {
        for (auto const& s : slots_)
            if (s.target)
                f(*s.target);
    }

private:
    struct slot
    {
        readiness* target = nullptr;
        std::uint32_t generation = 0;
    };

    std::vector<slot> slots_;
    std::vector<std::uint32_t> free_;
};

} // namespace socketserver

#endif
