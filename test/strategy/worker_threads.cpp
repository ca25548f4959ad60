// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/strategy/worker_threads.hpp>

#define BOOST_TEST_MODULE worker_threads

#include "support/matrix_jobs.hpp"
#include "support/matrix_process.hpp"
#include "support/matrix_threads.hpp"
#include "support/sanitizer.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <latch>
#include <pthread.h>
#include <sched.h>
#include <system_error>
#include <thread>

using namespace matrix;
using socketserver::worker_threads;
namespace data = boost::unit_test::data;

namespace {

struct with_jobs : job_server, nothing_left
{
    template <class Function>
    void run(worker_threads& threads, std::size_t most, Function f)
    {
        threads.run(make_job(std::move(f)), most);
    }
};

} // namespace

BOOST_FIXTURE_TEST_CASE(no_thread_is_started_before_there_is_something_to_run, with_jobs)
{
    auto const before = threads_of();
    worker_threads threads;
    BOOST_TEST(threads_of() == before);
    BOOST_TEST(threads.size() == 0);
}

BOOST_FIXTURE_TEST_CASE(what_runs_and_what_waits_counts, with_jobs)
{
    worker_threads threads;
    std::latch begun(2);
    std::latch may_end(1);
    std::atomic<int> ended{0};
    for (int i = 0; i < 5; ++i)
        run(threads, 2, [&] {
            if (!begun.try_wait())
                begun.count_down();
            may_end.wait();
            ++ended;
        });
    begun.wait();
    BOOST_TEST(threads.size() == 5);
    BOOST_TEST(ended == 0);
    may_end.count_down();
    BOOST_TEST(eventually([&] { return threads.size() == 0; }));
    BOOST_TEST(ended == 5);
}

BOOST_FIXTURE_TEST_CASE(an_idle_thread_is_used_again, with_jobs)
{
    worker_threads threads;
    auto const before = threads_of();
    for (int i = 0; i < 50; ++i)
    {
        run(threads, 50, [] {});
        BOOST_REQUIRE(eventually([&] { return threads.size() == 0; }));
    }
    BOOST_TEST(threads_of() <= before + 4);
}

BOOST_FIXTURE_TEST_CASE(everything_is_run_before_they_end, with_jobs)
{
    std::atomic<int> ran{0};
    {
        worker_threads threads;
        for (int i = 0; i < 100; ++i)
            run(threads, 3, [&] { ++ran; });
    }
    BOOST_TEST(ran == 100);
}

BOOST_FIXTURE_TEST_CASE(a_request_stays_with_the_caller_where_there_is_no_thread, with_jobs)
{
    worker_threads threads;
    auto job = make_job([] {});
    {
        no_more_threads const none;
        BOOST_CHECK_THROW(threads.run(std::move(job), 2), std::system_error);
    }
    BOOST_REQUIRE(job != nullptr);
    BOOST_TEST(threads.size() == 0);
    threads.run(std::move(job), 2);
    BOOST_TEST(eventually([&] { return threads.size() == 0; }));
}

BOOST_FIXTURE_TEST_CASE(the_signals_of_the_program_are_not_for_them, with_jobs)
{
    worker_threads threads;
    gate looked;
    std::atomic<int> wrong{0};
    run(threads, 1, [&] {
        sigset_t mask;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        for (int const theirs : {SIGINT, SIGTERM, SIGCHLD, SIGUSR1, SIGALRM})
            wrong += ::sigismember(&mask, theirs) == 0;
        for (int const own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
            wrong += ::sigismember(&mask, own) == 1;
        looked.open();
    });
    BOOST_TEST(looked.wait());
    BOOST_TEST(wrong == 0);
}

BOOST_DATA_TEST_CASE_F(with_jobs, their_stacks_are_as_large_as_asked_for,
    data::make({std::size_t(1), std::size_t(64) << 10, std::size_t(1) << 20}), asked)
{
    worker_threads threads;
    gate looked;
    std::size_t size = 0;
    threads.run(make_job([&] {
        pthread_attr_t attributes;
        ::pthread_getattr_np(::pthread_self(), &attributes);
        ::pthread_attr_getstacksize(&attributes, &size);
        ::pthread_attr_destroy(&attributes);
        looked.open();
    }),
        1, {asked, false});
    BOOST_TEST(looked.wait());
#if defined(SOCKETSERVER_TEST_TSAN)
    // It has needs of its own.
    BOOST_TEST(size >= std::max(asked, std::size_t(64) << 10));
#else
    BOOST_TEST(size == std::max(asked, std::size_t(64) << 10));
#endif
}

// What a thread runs under, as sched(7) has it.
int policy_of_a_thread(job_server& jobs, bool preempts)
{
    worker_threads threads;
    gate looked;
    int policy = -1;
    threads.run(jobs.make_job([&] {
        policy = ::sched_getscheduler(0);
        looked.open();
    }),
        1, {{}, preempts});
    BOOST_TEST(looked.wait());
    return policy;
}

BOOST_FIXTURE_TEST_CASE(they_take_the_processor_from_nobody_unless_told_to, with_jobs)
{
    BOOST_TEST(policy_of_a_thread(*this, false) == SCHED_BATCH);
    BOOST_TEST(policy_of_a_thread(*this, true) == SCHED_OTHER);
}

BOOST_FIXTURE_TEST_CASE(they_keep_a_policy_of_the_programs_own, with_jobs)
{
    process child([&] {
        sched_param const parameters{};
        if (::sched_setscheduler(0, SCHED_IDLE, &parameters) != 0)
            throw std::runtime_error("no other policy");
        if (policy_of_a_thread(*this, false) != SCHED_IDLE)
            throw std::runtime_error("not kept");
    });
    BOOST_TEST(child.wait() == 0, child.errors());
}

BOOST_FIXTURE_TEST_CASE(they_begin_anew_in_a_forked_process, with_jobs)
{
    worker_threads threads;
    std::latch may_end(1);
    run(threads, 1, [&] { may_end.wait(); });
    process child([&] {
        threads.after_fork();
        if (threads.size() != 0)
            throw std::runtime_error("it takes the parent's for its own");
        shared<gate> ran;
        threads.run(make_job([&] { ran->open(); }), 1);
        if (!ran->wait(5s))
            throw std::runtime_error("it runs nothing");
    });
    BOOST_TEST(child.wait() == 0, child.errors());
    may_end.count_down();
}
