// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_TEST_SUPPORT_FOLDER_HPP
#define SOCKETSERVER_TEST_SUPPORT_FOLDER_HPP

#include <socketserver/endpoint.hpp>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace support {

// A folder that is empty at first, and gone with all that is in it when this is.
class folder
{
public:
    folder()
    {
        if (!::mkdtemp(path_.data()))
            throw std::system_error(errno, std::system_category(), "folder");
    }

    folder(folder const&) = delete;
    folder& operator=(folder const&) = delete;

    ~folder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    std::string const& path() const noexcept { return path_; }
    std::string operator/(std::string_view name) const { return path_ + '/' + std::string(name); }

    // A path of so many bytes.
    std::string path_of(std::size_t length) const
    {
        return *this / std::string(length - path_.size() - 1, 'p');
    }

    bool is_empty() const { return std::filesystem::is_empty(path_); }

private:
    std::string path_ = (std::filesystem::temp_directory_path() / "socketserver-XXXXXX").string();
};

// Works in another folder meanwhile.
class working_folder
{
public:
    explicit working_folder(std::string const& path) { std::filesystem::current_path(path); }

    working_folder(working_folder const&) = delete;
    working_folder& operator=(working_folder const&) = delete;

    ~working_folder()
    {
        std::error_code ignored;
        std::filesystem::current_path(before_, ignored);
    }

private:
    std::filesystem::path before_ = std::filesystem::current_path();
};

// What the process withholds from the files that it makes, for as long as this lives.
class umask
{
public:
    explicit umask(mode_t bits)
        : before_(::umask(bits))
    {
    }

    umask(umask const&) = delete;
    umask& operator=(umask const&) = delete;

    ~umask() { ::umask(before_); }

private:
    mode_t before_;
};

// What the system knows of a path itself, not of where a link leads.
inline struct stat status_of(std::string const& path)
{
    struct stat result
    {
    };
    if (::lstat(path.c_str(), &result) < 0)
        throw std::system_error(errno, std::system_category(), path);
    return result;
}

inline bool exists(std::string const& path)
{
    struct stat ignored;
    return ::lstat(path.c_str(), &ignored) == 0;
}

inline mode_t mode_of(std::string const& path)
{
    return status_of(path).st_mode & 07777;
}

inline socketserver::endpoint unix_endpoint(std::string const& path)
{
    return "unix:" + path;
}

} // namespace support

#endif
