// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_STREAM_FILES_HPP
#define SOCKETSERVER_SRC_STREAM_FILES_HPP

#include <socketserver/transport.hpp>

#include <atomic>
#include <istream>
#include <memory>
#include <ostream>
#include <streambuf>
#include <string_view>
#include <thread>

namespace socketserver {

// What reads ahead.
class read_buffer final : public std::streambuf
{
public:
    read_buffer(transport& bytes, std::size_t size);

    std::size_t ahead() const noexcept { return static_cast<std::size_t>(egptr() - gptr()); }
    std::size_t take(void* to, std::size_t most) noexcept;

    // Gives whether there is something ahead after waiting for it.
    bool fill(boost::system::error_code& ec);
    std::string_view view() const noexcept { return {gptr(), ahead()}; }
    void skip(std::size_t n) noexcept { gbump(static_cast<int>(n)); }

    // Has this ahead, which another process has read; there must be nothing yet.
    void put_back(std::string_view ahead);

    boost::system::error_code kept() const noexcept { return kept_; }

protected:
    int_type underflow() override;
    std::streamsize showmanyc() override;
    std::streamsize xsgetn(char* to, std::streamsize n) override;

private:
    transport& bytes_;
    std::size_t size_;
    std::unique_ptr<char[]> storage_;
    boost::system::error_code kept_;
};

// What holds back.
class write_buffer final : public std::streambuf
{
public:
    write_buffer(transport& bytes, std::size_t size, std::ostream const& owner);

    // Whether something was written after which the message has not ended.  Of what another thread
    // writes, only that much may be asked.
    bool holds_back() const noexcept { return writer_.load() != std::thread::id(); }
    bool is_of_this_thread() const noexcept
    {
        return writer_.load(std::memory_order_relaxed) == std::this_thread::get_id();
    }

    // What was written but not sent.
    std::string_view view() const noexcept { return {pbase(), pending()}; }

    // Sends all, and a piece after it; says whether more of the same belongs to it.
    void send(boost::asio::const_buffer piece, bool is_end, boost::system::error_code& ec);

    boost::system::error_code kept() const noexcept { return kept_; }

protected:
    int_type overflow(int_type c) override;
    std::streamsize xsputn(char const* from, std::streamsize n) override;
    int sync() override;

private:
    std::size_t pending() const noexcept { return static_cast<std::size_t>(pptr() - pbase()); }
    std::size_t room() const noexcept { return static_cast<std::size_t>(epptr() - pptr()); }
    void put(boost::asio::const_buffer piece, bool is_end);
    void make_room();

    transport& bytes_;
    std::ostream const& owner_;
    std::unique_ptr<char[]> storage_;
    std::size_t size_;
    boost::system::error_code kept_;

    // Whose the bytes are.  When there are none there is no room either, so that the first byte,
    // too, comes by overflow() or xsputn().
    std::atomic<std::thread::id> writer_{};
};

// The standard streams of a connection, made on first use.
class stream_files
{
public:
    explicit stream_files(transport& bytes);

    static stream_files& of(transport& bytes);

    // The streams for their next use: after an error they are to ask the buffers again, which throw
    // it, and not to throw something of their own.
    std::istream& to_read();
    std::ostream& to_write();

    std::istream in;
    std::ostream out;
    read_buffer reads;
    write_buffer writes;

    // An error was returned or thrown where the handler could see it.
    bool read_error_seen = false;
    bool write_error_seen = false;
};

} // namespace socketserver

#endif
