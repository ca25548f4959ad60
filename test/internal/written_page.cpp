// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "written_page.hpp"

#define BOOST_TEST_MODULE written_page
#include <boost/test/unit_test.hpp>

#include "strategy/sanitizers.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

using namespace socketserver;

namespace {

// The sanitizers are given the heap's.
#if defined(SOCKETSERVER_ASAN) || defined(SOCKETSERVER_TSAN)
constexpr bool has_room = false;
#else
constexpr bool has_room = true;
#endif

constexpr std::size_t all = written_page::number_of_cells * sizeof(written_page::cell);

bool is_on_page(void const* memory)
{
    auto const at = reinterpret_cast<std::uintptr_t>(memory);
    auto const page = reinterpret_cast<std::uintptr_t>(&the_written_page);
    return page <= at && at < page + written_page::size;
}

// Memory that is filled, and must be as it was when it is given back.
class filled
{
public:
    filled(std::size_t size, unsigned char with)
        : size_(size)
        , with_(with)
        , memory_(static_cast<unsigned char*>(written_page::allocate(size)))
    {
        std::memset(memory_, with, size);
    }

    filled(filled&& other) noexcept
        : size_(other.size_)
        , with_(other.with_)
        , memory_(std::exchange(other.memory_, nullptr))
    {
    }

    ~filled()
    {
        if (memory_)
            written_page::deallocate(memory_, size_);
    }

    void* get() const { return memory_; }

    bool is_whole() const
    {
        return std::all_of(memory_, memory_ + size_, [this](auto byte) { return byte == with_; });
    }

private:
    std::size_t size_;
    unsigned char with_;
    unsigned char* memory_;
};

} // namespace

BOOST_AUTO_TEST_CASE(gives_memory_on_the_page_while_there_is_room_and_then_from_the_heap)
{
    filled const some(200, 1);
    BOOST_TEST(is_on_page(some.get()) == has_room);
    filled const too_much(all, 2);
    BOOST_TEST(!is_on_page(too_much.get()));
    BOOST_TEST(some.is_whole());
    BOOST_TEST(too_much.is_whole());
}

BOOST_AUTO_TEST_CASE(gives_the_whole_page_again_when_all_was_given_back)
{
    for (int i = 0; i < 3; ++i)
    {
        std::vector<filled> pieces;
        for (std::size_t n = 0; n < 100; ++n)
            pieces.emplace_back(1 + n % 3 * 64, static_cast<unsigned char>(n));
        for (auto const& piece : pieces)
            BOOST_TEST(piece.is_whole());
        pieces.clear();
        filled const everything(all, 3);
        BOOST_TEST(is_on_page(everything.get()) == has_room);
        BOOST_TEST(everything.is_whole());
    }
}

BOOST_AUTO_TEST_CASE(fills_the_gap_that_was_left)
{
    filled const first(64, 1);
    auto second = std::make_unique<filled>(3 * 64, 2);
    filled const third(64, 3);
    auto* const gap = second->get();
    second.reset();
    filled const larger(4 * 64, 4);
    filled const fits(3 * 64, 5);
    BOOST_TEST((fits.get() == gap || !has_room));
    for (auto const* piece : {&first, &third, &larger, &fits})
        BOOST_TEST(piece->is_whole());
}

BOOST_AUTO_TEST_CASE(gives_no_two_threads_the_same)
{
    std::vector<std::jthread> threads;
    std::atomic<int> broken{0};
    for (unsigned char t = 1; t <= 4; ++t)
        threads.emplace_back([t, &broken] {
            for (std::size_t i = 0; i < 20000; ++i)
            {
                filled const a(1 + i % 500, t);
                filled const b(64, t);
                broken += !a.is_whole() + !b.is_whole();
            }
        });
    threads.clear();
    BOOST_TEST(broken == 0);
}
