// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_SERVED_HPP
#define SOCKETSERVER_TEST_SUPPORT_SERVED_HPP

#include "client.hpp"
#include "descriptors.hpp"

#include <chrono>
#include <exception>
#include <thread>
#include <utility>

namespace support {

// A server that is served in a thread, for as long as this lives; then nothing is left of it.
template <class Server>
class served
{
public:
    template <class... Arguments>
    explicit served(Arguments&&... arguments)
        : server_(std::forward<Arguments>(arguments)...)
        , thread_([this] { serve(); })
    {
    }

    served(served const&) = delete;
    served& operator=(served const&) = delete;

    ~served() { join(); }

    Server& server() noexcept { return server_; }
    Server* operator->() noexcept { return &server_; }

    client connect() const { return client(server_.server_address()); }

    // Stops the loop; gives what it threw, if it did.
    std::exception_ptr stop()
    {
        server_.shutdown();
        return join();
    }

    // Waits until the loop ends by itself; gives what it threw, if it did.
    std::exception_ptr wait()
    {
        if (thread_.joinable())
            thread_.join();
        return thrown_;
    }

private:
    void serve() noexcept
    {
        try
        {
            server_.serve_forever();
        }
        catch (...)
        {
            thrown_ = std::current_exception();
        }
    }

    std::exception_ptr join()
    {
        if (thread_.joinable())
            server_.request_shutdown();
        return wait();
    }

    no_descriptor_left nothing_left_;
    Server server_;
    std::exception_ptr thrown_;
    std::thread thread_;
};

} // namespace support

#endif
