// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "client_places.hpp"

#include <socketserver/endpoint.hpp>

#include <boost/container_hash/hash.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/mman.h>

namespace socketserver {

namespace {

constexpr client_places::key nobody{};

// What one process has of one client.
struct entry
{
    client_places::key client;
    std::uint32_t process;
    std::uint32_t count; // 0: free
};

constexpr std::size_t capacity = 1 << 16;

std::size_t home_of(client_places::key const& client) noexcept
{
    return boost::hash_range(client.begin(), client.end()) % capacity;
}

constexpr std::size_t next(std::size_t i) noexcept
{
    return (i + 1) % capacity;
}

} // namespace

// Open addressing: what has the same home lies behind it, without a gap.
struct client_places::table
{
    pthread_mutex_t mutex;
    std::size_t used;
    entry entries[capacity];

    void erase(std::size_t i) noexcept
    {
        --used;
        for (auto j = next(i); entries[j].count != 0; j = next(j))
        {
            // What is at home between the gap and here may stay.
            auto const distance = (j - home_of(entries[j].client)) % capacity;
            if (distance < (j - i) % capacity)
                continue;
            entries[i] = entries[j];
            i = j;
        }
        entries[i].count = 0;
    }
};

// The lock outlives a process that is killed while it holds it.
class client_places::locked
{
public:
    explicit locked(table& t) noexcept
        : table_(t)
    {
        if (::pthread_mutex_lock(&table_.mutex) == EOWNERDEAD)
            ::pthread_mutex_consistent(&table_.mutex);
    }

    ~locked() { ::pthread_mutex_unlock(&table_.mutex); }

    locked(locked const&) = delete;
    locked& operator=(locked const&) = delete;

private:
    table& table_;
};

client_places::~client_places()
{
    if (table_)
        ::munmap(table_, sizeof(table));
}

client_places::key client_places::key_of(endpoint const& client) noexcept
{
    key k{};
    if (client.family() == address_family::ipv4)
    {
        sockaddr_in address;
        std::memcpy(&address, client.data(), sizeof address);
        // As IPv6 maps it, so that no IPv6 client has the same.
        k[10] = k[11] = 0xff;
        std::memcpy(&k[12], &address.sin_addr, 4);
    }
    else if (client.family() == address_family::ipv6)
    {
        sockaddr_in6 address;
        std::memcpy(&address, client.data(), sizeof address);
        std::memcpy(&k[0], &address.sin6_addr, 8);
        // That of the loopback is not nobody's.
        k[15] = 1;
    }
    return k;
}

void client_places::prepare()
{
    if (table_)
        return;
    void* const pages = ::mmap(nullptr, sizeof(table), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        throw boost::system::system_error(errno, boost::system::system_category(), "mmap");
    table_ = static_cast<table*>(pages);
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&table_->mutex, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
}

bool client_places::enter(key const& client, std::size_t process, std::size_t most) noexcept
{
    if (!table_ || client == nobody)
        return true;
    auto& t = *table_;
    locked const lock(t);
    std::size_t all = 0;
    entry* own = nullptr;
    auto i = home_of(client);
    for (; t.entries[i].count != 0; i = next(i))
        if (auto& e = t.entries[i]; e.client == client)
        {
            all += e.count;
            if (e.process == process)
                own = &e;
        }
    if (all >= most)
        return false;
    if (own)
    {
        ++own->count;
        return true;
    }
    // A table that is full would have no end to look for.
    if (t.used == capacity - capacity / 8)
        return false;
    t.entries[i] = {client, static_cast<std::uint32_t>(process), 1};
    ++t.used;
    return true;
}

void client_places::leave(key const& client, std::size_t process) noexcept
{
    if (!table_ || client == nobody)
        return;
    auto& t = *table_;
    locked const lock(t);
    for (auto i = home_of(client); t.entries[i].count != 0; i = next(i))
    {
        auto& e = t.entries[i];
        if (e.client != client || e.process != process)
            continue;
        if (--e.count == 0)
            t.erase(i);
        return;
    }
}

void client_places::forget(std::size_t process) noexcept
{
    if (!table_)
        return;
    auto& t = *table_;
    locked const lock(t);
    for (std::size_t i = 0; i < capacity; ++i)
        // What moves up into its place is looked at as well.
        while (t.entries[i].count != 0 && t.entries[i].process == process)
            t.erase(i);
}

} // namespace socketserver
