// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "request_counts.hpp"

#define BOOST_TEST_MODULE request_counts
#include <boost/test/unit_test.hpp>

#include <socketserver/endpoint.hpp>

#include <cstddef>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

using namespace socketserver;

namespace {

struct fixture
{
    request_place admitted()
    {
        request_place place;
        counts.admit(place, client, std::nullopt, std::nullopt);
        return place;
    }

    // What a child does with its copy of a place, by which its parent's is left as it is.
    void end_in_child(request_place const& place)
    {
        alignas(request_place) std::byte copy[sizeof(request_place)];
        std::memcpy(copy, &place, sizeof copy);
        auto& in_child = *reinterpret_cast<request_place*>(copy);
        in_child.after_fork();
        in_child.give_back();
    }

    endpoint client{"192.0.2.1:1234"};
    request_counts counts;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(counts, fixture)

BOOST_AUTO_TEST_CASE(a_child_gives_back_a_place_that_is_shared)
{
    auto place = admitted();
    place.share();
    end_in_child(place);
    BOOST_TEST(counts.active() == 0u);
    place = request_place();
    BOOST_TEST(counts.active() == 0u);
}

BOOST_AUTO_TEST_CASE(the_parent_gives_back_what_no_child_has)
{
    auto place = admitted();
    place.share();
    place.keep();
    end_in_child(place);
    BOOST_TEST(counts.active() == 1u);
    place = request_place();
    BOOST_TEST(counts.active() == 0u);
}

BOOST_AUTO_TEST_CASE(the_parent_gives_back_those_beyond_what_can_be_shared)
{
    constexpr std::size_t many = 2000;
    // Twice, for what has been shared once can be shared again.
    for (int i = 0; i < 2; ++i)
    {
        std::vector<request_place> places;
        for (std::size_t n = 0; n < many; ++n)
        {
            places.push_back(admitted());
            places.back().share();
        }
        for (auto const& place : places)
            end_in_child(place);
        BOOST_TEST(counts.active() == many - 896);
        places.clear();
        BOOST_TEST(counts.active() == 0u);
    }
}

BOOST_AUTO_TEST_CASE(a_slot_is_new_for_each_process_and_there_is_an_end_of_them)
{
    auto const first = counts.new_slot();
    std::size_t given = 1;
    BOOST_CHECK_THROW(
        for (;;) {
            counts.new_slot();
            ++given;
        },
        std::system_error);
    BOOST_TEST(given == 4095u);
    counts.use_slot(first);
    auto place = admitted();
    counts.stops() = true;
    counts.free_slot(first, request_counts::killed);
    BOOST_TEST(counts.total(request_counts::killed) == 1u);
    BOOST_TEST(counts.new_slot() == first);
    BOOST_TEST(!counts.stops());
    BOOST_TEST(counts.own_active() == 0u);
    BOOST_TEST(counts.active() == 0u);
    place.after_fork();
}

BOOST_AUTO_TEST_CASE(what_is_left_of_a_process_says_nothing_of_the_next_one_with_its_slot)
{
    auto const slot = counts.new_slot();
    counts.use_slot(slot);
    auto place = admitted();
    place.share();
    counts.free_slot(slot, request_counts::crashed);
    BOOST_TEST(counts.total(request_counts::crashed) == 1u);
    BOOST_TEST(counts.new_slot() == slot);
    auto const next = admitted();
    end_in_child(place);
    BOOST_TEST(counts.active() == 1u);
    place.after_fork();
}

BOOST_AUTO_TEST_SUITE_END()
