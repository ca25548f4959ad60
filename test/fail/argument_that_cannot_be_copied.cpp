// expect only: std::ref(argument) shares it
// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver.hpp>

#include <atomic>

class counting : public socketserver::stream_request_handler
{
public:
    explicit counting(std::atomic<int>& visits)
        : visits_(visits)
    {
    }

private:
    void handle() override { ++visits_; }

    std::atomic<int>& visits_;
};

int main()
{
    std::atomic<int> visits = 0;
    socketserver::threading_tcp_server server(
        "127.0.0.1:0", socketserver::handler<counting>(visits));
}
