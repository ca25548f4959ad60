// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_MATRIX_THREADS_HPP
#define SOCKETSERVER_TEST_SUPPORT_MATRIX_THREADS_HPP

#include <socketserver/stream.hpp>

#include <cstddef>
#include <ostream>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace matrix {

/** Says which thread runs it, and waits for its client to go. */
inline void tells_its_thread(socketserver::stream& s)
{
    s.wfile() << ::gettid() << '\n';
    std::string line;
    s.read_line(line);
}

/** While it lives, no thread can be started in this process: nobody has room for such a stack. */
class no_more_threads
{
public:
    no_more_threads()
    {
        if (::pthread_getattr_default_np(&before_) != 0)
            throw std::runtime_error("no attributes of threads");
        auto huge = before_;
        if (::pthread_attr_setstacksize(&huge, std::size_t(1) << 50) != 0 ||
            ::pthread_setattr_default_np(&huge) != 0)
            throw std::runtime_error("the stacks of threads cannot be made too large");
    }

    no_more_threads(no_more_threads const&) = delete;
    no_more_threads& operator=(no_more_threads const&) = delete;

    ~no_more_threads()
    {
        ::pthread_setattr_default_np(&before_);
        ::pthread_attr_destroy(&before_);
    }

private:
    pthread_attr_t before_;
};

} // namespace matrix

#endif
