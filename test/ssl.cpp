// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Every strategy over every transport: TLS by Asio's blocking calls, on top of the stream.

#define BOOST_TEST_MODULE ssl

#include "support/matrix_cells.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <memory>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdexcept>
#include <string>
#include <vector>

using namespace matrix;
namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

namespace {

template <class Object, void (*free)(Object*)>
struct freed
{
    void operator()(Object* object) const noexcept { free(object); }
};

template <class Object, void (*free)(Object*)>
using owned = std::unique_ptr<Object, freed<Object, free>>;

std::string text_of(BIO* bio)
{
    char* data = nullptr;
    auto const size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
}

// A certificate that nobody but itself vouches for.
class certificate
{
public:
    certificate()
    {
        owned<EVP_PKEY, EVP_PKEY_free> const pair(EVP_EC_gen("P-256"));
        owned<X509, X509_free> const x509(X509_new());
        if (!pair || !x509)
            throw std::runtime_error("no key");
        X509_set_version(x509.get(), X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
        X509_gmtime_adj(X509_getm_notBefore(x509.get()), -3600);
        X509_gmtime_adj(X509_getm_notAfter(x509.get()), 3600);
        X509_set_pubkey(x509.get(), pair.get());
        auto* const subject = X509_get_subject_name(x509.get());
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
            reinterpret_cast<unsigned char const*>("localhost"), -1, -1, 0);
        X509_set_issuer_name(x509.get(), subject);
        if (X509_sign(x509.get(), pair.get(), EVP_sha256()) == 0)
            throw std::runtime_error("no signature");

        owned<BIO, BIO_free_all> const out(BIO_new(BIO_s_mem()));
        PEM_write_bio_X509(out.get(), x509.get());
        chain_ = text_of(out.get());
        owned<BIO, BIO_free_all> const secret(BIO_new(BIO_s_mem()));
        PEM_write_bio_PrivateKey(secret.get(), pair.get(), nullptr, nullptr, 0, nullptr, nullptr);
        key_ = text_of(secret.get());
    }

    ssl::context for_server() const
    {
        ssl::context context(ssl::context::tls_server);
        context.use_certificate_chain(asio::buffer(chain_));
        context.use_private_key(asio::buffer(key_), ssl::context::pem);
        return context;
    }

    ssl::context for_client() const
    {
        ssl::context context(ssl::context::tls_client);
        context.add_certificate_authority(asio::buffer(chain_));
        context.set_verify_mode(ssl::verify_peer);
        return context;
    }

private:
    static void BIO_free_all(BIO* bio) { ::BIO_free_all(bio); }

    std::string chain_;
    std::string key_;
};

// One for all tests: keys take time.
struct made_once : first_use
{
    static certificate const& one()
    {
        static certificate const made;
        return made;
    }

    made_once() { one(); }
};

// Answers every line with the line, encrypted.
handler_factory<stream> encrypted_echo(ssl::context& context)
{
    return [&context](stream& s) {
        // A client in this process must not be in the middle of something while a child is forked:
        // an allocator may have a lock that the child then finds taken.
        s.send_all("begin\n");
        ssl::stream<stream&> tls(s, context);
        tls.handshake(ssl::stream_base::server);
        std::string text;
        for (;;)
        {
            boost::system::error_code ec;
            auto const n = asio::read_until(tls, asio::dynamic_buffer(text), '\n', ec);
            if (ec)
                break;
            asio::write(tls, asio::buffer(text, n));
            text.erase(0, n);
        }
        boost::system::error_code ignored;
        tls.shutdown(ignored);
    };
}

// The encrypted side of a client.
class encrypted
{
public:
    explicit encrypted(endpoint const& server)
        : context_(made_once::one().for_client())
        , plain_(server)
        , tls_(plain_, context_)
    {
        hear(plain_);
        tls_.handshake(ssl::stream_base::client);
    }

    std::string ask(std::string const& line)
    {
        asio::write(tls_, asio::buffer(line + '\n'));
        auto const n = asio::read_until(tls_, asio::dynamic_buffer(text_), '\n');
        auto const answer = text_.substr(0, n - 1);
        text_.erase(0, n);
        return answer;
    }

    // Ends as TLS wants it: each side tells the other.
    boost::system::error_code shutdown()
    {
        boost::system::error_code ec;
        tls_.shutdown(ec);
        return ec;
    }

private:
    ssl::context context_;
    client_stream plain_;
    ssl::stream<stream&> tls_;
    std::string text_;
};

} // namespace

BOOST_TEST_GLOBAL_FIXTURE(made_once);

BOOST_DATA_TEST_CASE_F(nothing_left, answers_an_encrypted_echo, cells, where)
{
    auto context = made_once::one().for_server();
    served server(where, encrypted_echo(context));
    for (int i = 0; i < 3; ++i)
    {
        encrypted client(server.address());
        BOOST_TEST(client.ask("hello") == "hello");
        std::string const much(200'000, 'x');
        BOOST_TEST((client.ask(much) == much));
        BOOST_TEST(!client.shutdown());
    }
    BOOST_TEST(server.seen().errors == 0);
}

BOOST_DATA_TEST_CASE_F(
    nothing_left, encrypted_conversations_do_not_disturb_each_other, cells_of_several, where)
{
    auto context = made_once::one().for_server();
    served server(where, encrypted_echo(context));
    std::vector<std::unique_ptr<encrypted>> clients;
    for (std::size_t i = 1; i < where.strategy.at_once; ++i)
        clients.push_back(std::make_unique<encrypted>(server.address()));
    {
        // One that speaks no TLS fails alone, whatever it leaves in OpenSSL's error queue.
        auto plain = server.client();
        plain.send_all("this is no handshake\n");
        hear_all(plain);
        BOOST_TEST(server.seen().error_seen.wait());
    }
    for (int round = 0; round < 3; ++round)
        for (auto i = clients.size(); i-- > 0;)
            BOOST_TEST(clients[i]->ask(std::to_string(i)) == std::to_string(i));
    for (auto const& client : clients)
        BOOST_TEST(!client->shutdown());
    BOOST_TEST(server.seen().errors == 1);
}

BOOST_DATA_TEST_CASE_F(nothing_left, an_idle_limit_ends_a_handshake, cells, where)
{
    auto context = made_once::one().for_server();
    served server(where, [&](stream& s) {
        s.timeout(50ms);
        ssl::stream<stream&> tls(s, context);
        tls.handshake(ssl::stream_base::server);
    });
    auto client = server.client();
    BOOST_TEST(server.seen().error_seen.wait());
    BOOST_TEST(
        server.seen().last_error.read() == make_error_code(asio::error::timed_out).message());
}

BOOST_DATA_TEST_CASE_F(nothing_left, an_abort_wakes_an_encrypted_read, cells_to_abort, where)
{
    auto context = made_once::one().for_server();
    served server(where, encrypted_echo(context));
    encrypted client(server.address());
    BOOST_TEST(client.ask("hello") == "hello");
    server.server().request_abort();
    BOOST_TEST(duration_of([&] { server.end_at_once(); }) < patience / 2);
}
