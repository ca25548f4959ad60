// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_SENT_ALONG_HPP
#define SOCKETSERVER_TEST_SUPPORT_SENT_ALONG_HPP

#include <socketserver/endpoint.hpp>

#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

namespace support {

// Sends bytes and something along with them, SCM_RIGHTS or SCM_CREDENTIALS; false with errno set
// where the system does not let it.
template <class Data>
bool send_along(int socket, std::string_view bytes, int type, Data const& data,
    socketserver::endpoint const& to = {})
{
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof data)]{};
    msghdr message{};
    message.msg_name = to.size() == 0 ? nullptr : const_cast<void*>(to.data());
    message.msg_namelen = static_cast<socklen_t>(to.size());
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof data);
    std::memcpy(CMSG_DATA(header), &data, sizeof data);
    return ::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

// A pipe whose writing end is given away: reading from it tells when nobody has that any more.
class given_away
{
public:
    given_away()
    {
        if (::pipe2(ends_, O_CLOEXEC) < 0)
            ends_[0] = ends_[1] = -1;
    }

    given_away(given_away const&) = delete;
    given_away& operator=(given_away const&) = delete;

    ~given_away()
    {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }

    int descriptor() const noexcept { return ends_[1]; }

    // Whether nobody has it but this.
    bool is_closed_elsewhere()
    {
        ::close(ends_[1]);
        ends_[1] = -1;
        char c;
        ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
        return ::read(ends_[0], &c, 1) == 0;
    }

private:
    int ends_[2];
};

} // namespace support

#endif
