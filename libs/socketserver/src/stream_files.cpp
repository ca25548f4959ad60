// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "stream_files.hpp"

#include "stream_io.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cstring>
#include <mutex>

namespace socketserver {

using boost::asio::const_buffer;
using boost::system::error_code;
using boost::system::system_error;

read_buffer::read_buffer(transport& bytes, std::size_t size)
    : bytes_(bytes)
    , size_(std::max<std::size_t>(size, 1))
{
}

std::size_t read_buffer::take(void* to, std::size_t most) noexcept
{
    auto const n = std::min(most, ahead());
    std::memcpy(to, gptr(), n);
    skip(n);
    return n;
}

bool read_buffer::fill(error_code& ec)
{
    ec = {};
    if (bytes_.interrupted())
        ec = boost::asio::error::operation_aborted;
    if (ec || ahead() != 0)
        return !ec;
    if (!storage_)
        storage_ = std::make_unique_for_overwrite<char[]>(size_);
    auto const n = stream_io::receive_more(bytes_, {storage_.get(), size_}, ec);
    if (!ec)
        setg(storage_.get(), storage_.get(), storage_.get() + n);
    else if (ec == boost::asio::error::eof)
    {
        ec = {};
        return false;
    }
    return !ec;
}

void read_buffer::put_back(std::string_view ahead)
{
    size_ = std::max(size_, ahead.size());
    storage_ = std::make_unique_for_overwrite<char[]>(size_);
    std::memcpy(storage_.get(), ahead.data(), ahead.size());
    setg(storage_.get(), storage_.get(), storage_.get() + ahead.size());
}

read_buffer::int_type read_buffer::underflow()
{
    if (ahead() != 0)
        return traits_type::to_int_type(*gptr());
    if (!kept_ && !fill(kept_) && !kept_)
        return traits_type::eof();
    if (kept_)
        throw system_error(kept_, "receive");
    return traits_type::to_int_type(*gptr());
}

std::streamsize read_buffer::showmanyc()
{
    return 0;
}

std::streamsize read_buffer::xsgetn(char* to, std::streamsize n)
{
    std::streamsize done = 0;
    while (done < n && !traits_type::eq_int_type(underflow(), traits_type::eof()))
        done += static_cast<std::streamsize>(take(to + done, static_cast<std::size_t>(n - done)));
    return done;
}

write_buffer::write_buffer(transport& bytes, std::size_t size, std::ostream const& owner)
    : bytes_(bytes)
    , owner_(owner)
    , size_(size)
{
}

void write_buffer::send(const_buffer piece, bool is_end, error_code& ec)
{
    ec = kept_;
    if (ec)
        return;
    const_buffer const both[] = {{pbase(), pending()}, piece};
    stream_io::send_part(bytes_, both, is_end, ec);
    kept_ = ec;
    // After an error nobody can tell what went: it must not go twice.
    setp(nullptr, nullptr);
    writer_ = is_end || ec ? std::thread::id() : std::this_thread::get_id();
}

void write_buffer::put(const_buffer piece, bool is_end)
{
    error_code ec;
    send(piece, is_end, ec);
    if (ec)
        throw system_error(ec, "send");
}

void write_buffer::make_room()
{
    if (pending() != 0)
        put({}, false);
    if (kept_)
        throw system_error(kept_, "send");
    if (!storage_)
        storage_ = std::make_unique_for_overwrite<char[]>(size_);
    setp(storage_.get(), storage_.get() + size_);
    writer_ = std::this_thread::get_id();
}

write_buffer::int_type write_buffer::overflow(int_type c)
{
    if (traits_type::eq_int_type(c, traits_type::eof()))
        return traits_type::not_eof(c);
    char const byte = traits_type::to_char_type(c);
    if (size_ == 0)
    {
        put({&byte, 1}, true);
        return c;
    }
    make_room();
    return sputc(byte);
}

std::streamsize write_buffer::xsputn(char const* from, std::streamsize n)
{
    auto const wanted = static_cast<std::size_t>(n);
    if (wanted == 0)
        return 0;
    if (wanted >= size_)
        put({from, wanted}, size_ == 0);
    else
    {
        if (wanted > room())
            make_room();
        std::memcpy(pptr(), from, wanted);
        pbump(static_cast<int>(wanted));
    }
    return n;
}

int write_buffer::sync()
{
    error_code ec;
    send({}, true, ec);
    // A stream with unitbuf set calls this in a destructor, where throwing would end the program.
    if (ec && !(owner_.flags() & std::ios_base::unitbuf))
        throw system_error(ec, "send");
    return 0;
}

stream_files::stream_files(transport& bytes)
    : in(nullptr)
    , out(nullptr)
    , reads(bytes, bytes.rbufsize_)
    , writes(bytes, bytes.wbufsize_, out)
{
    in.rdbuf(&reads);
    out.rdbuf(&writes);
    in.exceptions(std::ios_base::badbit);
    out.exceptions(std::ios_base::badbit);
}

stream_files& stream_files::of(transport& bytes)
{
    if (auto* const files = bytes.files_.load())
        return *files;
    // A reader and a writer may come at once.
    std::lock_guard const lock(bytes.write_mutex_);
    if (!bytes.files_.load())
        bytes.files_ = new stream_files(bytes);
    return *bytes.files_.load();
}

std::istream& stream_files::to_read()
{
    if (reads.kept() && in.bad())
    {
        read_error_seen = true;
        in.clear();
    }
    return in;
}

std::ostream& stream_files::to_write()
{
    if (writes.kept() && !out.good())
    {
        write_error_seen = write_error_seen || out.bad();
        out.clear();
    }
    return out;
}

} // namespace socketserver
