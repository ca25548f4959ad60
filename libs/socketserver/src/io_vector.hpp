// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_IO_VECTOR_HPP
#define SOCKETSERVER_SRC_IO_VECTOR_HPP

#include <cstddef>
#include <sys/socket.h>
#include <sys/uio.h>

namespace socketserver {

// Asio's buffers as the system takes them: as many as one call moves.
struct io_vector
{
    template <class Buffers>
    explicit io_vector(Buffers const& buffers) noexcept
    {
        for (auto const& b : buffers)
        {
            if (count == most)
                break;
            parts[count++] = {const_cast<void*>(static_cast<void const*>(b.data())), b.size()};
            size += b.size();
        }
        message.msg_iov = parts;
        message.msg_iovlen = count;
    }

    // Forgets what has been moved.
    void advance(std::size_t n) noexcept
    {
        size -= n;
        while (n != 0 && n >= message.msg_iov->iov_len)
        {
            n -= message.msg_iov->iov_len;
            ++message.msg_iov;
            --message.msg_iovlen;
        }
        if (n != 0)
        {
            message.msg_iov->iov_base = static_cast<char*>(message.msg_iov->iov_base) + n;
            message.msg_iov->iov_len -= n;
        }
    }

    static constexpr std::size_t most = 16;

    iovec parts[most];
    std::size_t count = 0;
    std::size_t size = 0;
    msghdr message{};
};

// Whether the conversation must have ended: whoever never waits is told so, too.

} // namespace socketserver

#endif
