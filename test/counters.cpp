// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/counters.hpp>

#define BOOST_TEST_MODULE counters
#include <boost/test/unit_test.hpp>

using namespace std::literals;

BOOST_AUTO_TEST_CASE(counters_are_one_line)
{
    socketserver::server_counters c;
    c.accepted = 12;
    c.active = 1;
    c.peak = 2;
    c.rejected = 3;
    c.refused_at_limit = 4;
    c.refused_per_client = 5;
    c.failed = 6;
    c.timed_out = 7;
    c.crashed = 8;
    c.accept_errors = 9;
    c.bytes_received = 10;
    c.bytes_sent = 11;
    BOOST_TEST(c.str() == "accepted 12, active 1, peak 2, rejected 3, refused at the limit 4, "
                          "refused per client 5, failed 6, timed out 7, crashed 8, "
                          "accept errors 9, bytes received 10, bytes sent 11");
}

BOOST_AUTO_TEST_CASE(a_report_is_one_line)
{
    socketserver::closing_report r;
    r.drained = 3;
    r.aborted = 2;
    r.killed = 1;
    r.left_in_queue = 4;
    r.elapsed = 1234567us;
    BOOST_TEST(r.str() == "3 drained, 2 aborted, 1 killed, 4 left in the queue, in 1.235 s");
}
