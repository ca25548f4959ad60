// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_STRATEGY_DISPATCHING_HPP
#define SOCKETSERVER_STRATEGY_DISPATCHING_HPP

namespace socketserver {

/** A server class that has a dispatching mixin: who runs a request is settled. */
template <class Server>
concept dispatching = requires
{
    typename Server::dispatching_strategy;
};

/** A server class that has a serving mixin: who runs the loop is settled. */
template <class Server>
concept serving = requires
{
    typename Server::serving_strategy;
};

} // namespace socketserver

#endif
