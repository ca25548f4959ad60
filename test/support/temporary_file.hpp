// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_TEMPORARY_FILE_HPP
#define SOCKETSERVER_TEST_SUPPORT_TEMPORARY_FILE_HPP

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <system_error>

namespace support {

// A file without a name, gone when this is.
class temporary_file
{
public:
    explicit temporary_file(std::string_view content)
        : file_(std::tmpfile())
    {
        if (!file_)
            throw std::system_error(errno, std::system_category(), "temporary_file");
        if (std::fwrite(content.data(), 1, content.size(), file_) == content.size() &&
            std::fflush(file_) == 0)
            return;
        int const error = errno;
        std::fclose(file_);
        throw std::system_error(error, std::system_category(), "temporary_file");
    }

    temporary_file(temporary_file const&) = delete;
    temporary_file& operator=(temporary_file const&) = delete;

    ~temporary_file() { std::fclose(file_); }

    int descriptor() const { return ::fileno(file_); }

private:
    std::FILE* file_;
};

} // namespace support

#endif
