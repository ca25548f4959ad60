// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "request_parcel.hpp"

#include "socket_transport.hpp"
#include "stream_files.hpp"
#include "stream_io.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <type_traits>
#include <unistd.h>
#include <utility>

namespace socketserver {

namespace {

// What is longer goes in a file in memory: how long a message may be is the system's to say.
constexpr std::size_t longest_text = 16 * 1024;

[[noreturn]] void failed(char const* what)
{
    throw std::system_error(errno, std::generic_category(), what);
}

} // namespace

request_parcel::request_parcel(stream& request, endpoint const& client)
{
    auto* const bytes = dynamic_cast<socket_transport*>(stream_io::of(request));
    if (!bytes)
        throw std::logic_error("a stream without a socket cannot be sent to another process");
    head_.client = client;
    head_.is_tcp = bytes->is_tcp();
    pack(*bytes);
    socket_ = bytes->lend();
}

request_parcel::request_parcel(datagram& request, endpoint const& client)
{
    auto* const bytes =
        static_cast<datagram_transport*>(stream_io::of(stream_io::bytes_of(request)));
    if (!bytes)
        throw std::logic_error("a datagram that is none cannot be sent to another process");
    if (bytes->instead)
        throw std::logic_error("a datagram without a socket cannot be sent to another process");
    head_.client = client;
    pack(*bytes);
    head_.truncated = bytes->truncated;
    head_.vouched = bytes->vouched;
    head_.answers = bytes->answers;
    head_.sender_size = bytes->sender.size;
    std::memcpy(&head_.sender, &bytes->sender.storage, bytes->sender.size);
    head_.asked_size = bytes->asked_size_;
    std::memcpy(head_.asked, bytes->asked_, bytes->asked_size_);
    head_.read = bytes->read_;
    put(packet, bytes->packet);
    put(collected, bytes->collected_);
    socket_ = bytes->socket();
}

request_parcel::request_parcel(request_parcel&& other) noexcept
    : head_(other.head_)
    , texts_(std::move(other.texts_))
    , socket_(std::exchange(other.socket_, -1))
    , file_(std::exchange(other.file_, -1))
    , owns_socket_(other.owns_socket_)
{
}

request_parcel& request_parcel::operator=(request_parcel&& other) noexcept
{
    if (this == &other)
        return *this;
    close();
    head_ = other.head_;
    texts_ = std::move(other.texts_);
    socket_ = std::exchange(other.socket_, -1);
    file_ = std::exchange(other.file_, -1);
    owns_socket_ = other.owns_socket_;
    return *this;
}

request_parcel::~request_parcel()
{
    close();
}

void request_parcel::close() noexcept
{
    if (owns_socket_ && socket_ >= 0)
        ::close(socket_);
    if (file_ >= 0)
        ::close(file_);
    socket_ = file_ = -1;
}

void request_parcel::put(text which, std::string_view what)
{
    texts_.append(what);
    head_.sizes[which] = what.size();
}

std::string_view request_parcel::get(text which) const noexcept
{
    auto const begin = std::accumulate(head_.sizes, head_.sizes + which, std::size_t{0});
    return std::string_view(texts_).substr(begin, head_.sizes[which]);
}

void request_parcel::pack(transport& bytes)
{
    head_.limits = bytes.limits_;
    head_.rbufsize = bytes.rbufsize_;
    head_.wbufsize = bytes.wbufsize_;
    head_.interrupted = bytes.interrupted();
    head_.served = bytes.served_;
    head_.ended = bytes.ended_;
    if (auto const* const files = bytes.files_.load())
    {
        put(read_ahead, files->reads.view());
        put(held_back, files->writes.view());
    }
}

void request_parcel::unpack(transport& bytes)
{
    bytes.limits_ = head_.limits;
    bytes.rbufsize_ = head_.rbufsize;
    bytes.wbufsize_ = head_.wbufsize;
    bytes.served_ = head_.served;
    bytes.ended_ = head_.ended;
    if (auto const ahead = get(read_ahead); !ahead.empty())
        stream_files::of(bytes).reads.put_back(ahead);
    if (auto const held = get(held_back); !held.empty())
        stream_files::of(bytes).to_write().write(
            held.data(), static_cast<std::streamsize>(held.size()));
    if (head_.interrupted)
        bytes.interrupt();
}

void request_parcel::unpack(stream& request)
{
    read_file();
    auto bytes = std::make_unique<socket_transport>(socket_, head_.is_tcp);
    socket_ = -1;
    unpack(*bytes);
    request = stream(std::move(bytes));
}

void request_parcel::unpack(datagram& request)
{
    read_file();
    int const socket = socket_;
    auto open = std::shared_ptr<void>(nullptr, [socket](void*) { ::close(socket); });
    socket_ = -1;
    auto bytes = std::make_unique<datagram_transport>(std::move(open), socket);
    bytes->truncated = head_.truncated;
    bytes->vouched = head_.vouched;
    bytes->answers = head_.answers;
    bytes->sender.size = head_.sender_size;
    std::memcpy(&bytes->sender.storage, &head_.sender, head_.sender_size);
    bytes->asked_size_ = head_.asked_size;
    std::memcpy(bytes->asked_, head_.asked, head_.asked_size);
    bytes->read_ = head_.read;
    bytes->packet = get(packet);
    bytes->collected_ = get(collected);
    unpack(*bytes);
    request = datagram_transport::make(std::move(bytes));
}

void request_parcel::write_file()
{
    file_ = ::memfd_create("socketserver request", MFD_CLOEXEC);
    if (file_ < 0)
        failed("memfd_create");
    for (std::size_t done = 0; done < texts_.size();)
    {
        auto const n = ::write(file_, texts_.data() + done, texts_.size() - done);
        if (n < 0 && errno != EINTR)
            failed("write to a file in memory");
        done += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    }
    head_.in_file = true;
}

void request_parcel::read_file()
{
    if (!head_.in_file)
        return;
    texts_.resize(std::accumulate(head_.sizes, head_.sizes + texts, std::size_t{0}));
    for (std::size_t done = 0; done < texts_.size();)
    {
        auto const n =
            ::pread(file_, texts_.data() + done, texts_.size() - done, static_cast<off_t>(done));
        if (n == 0)
            throw std::system_error(std::make_error_code(std::errc::io_error), "read a request");
        if (n < 0 && errno != EINTR)
            failed("read from a file in memory");
        done += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    }
    ::close(std::exchange(file_, -1));
}

void request_parcel::send(int to)
{
    static_assert(std::is_trivially_copyable_v<head>);
    if (texts_.size() > longest_text && file_ < 0)
        write_file();

    iovec parts[] = {{&head_, sizeof head_}, {texts_.data(), head_.in_file ? 0 : texts_.size()}};
    alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))]{};
    int const descriptors[] = {socket_, file_};
    auto const size = sizeof(int) * (file_ < 0 ? 1 : 2);
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(size);
    auto* const note = CMSG_FIRSTHDR(&message);
    note->cmsg_level = SOL_SOCKET;
    note->cmsg_type = SCM_RIGHTS;
    note->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(note), descriptors, size);
    ssize_t n;
    do
        n = ::sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        failed("send to the fork server");
}

bool request_parcel::receive(int from)
{
    close();
    owns_socket_ = true;
    texts_.resize(longest_text);
    iovec parts[] = {{&head_, sizeof head_}, {texts_.data(), texts_.size()}};
    alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n;
    do
        n = ::recvmsg(from, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < static_cast<ssize_t>(sizeof head_))
        return false;
    texts_.resize(static_cast<std::size_t>(n) - sizeof head_);
    auto const* const note = CMSG_FIRSTHDR(&message);
    if (!note || note->cmsg_type != SCM_RIGHTS)
        return true;
    int descriptors[] = {-1, -1};
    std::memcpy(
        descriptors, CMSG_DATA(note), std::min(note->cmsg_len - CMSG_LEN(0), sizeof descriptors));
    socket_ = descriptors[0];
    file_ = descriptors[1];
    // Half of it is of no use.
    if (head_.in_file && file_ < 0)
        close();
    return true;
}

} // namespace socketserver
