#ifndef CTLS_INTERNAL_H
#define CTLS_INTERNAL_H

#include "CTLS.h"

// Its macros would put the paths of these sources into the executable, which then depends on the folder they are in.
#define OPENSSL_NO_FILENAMES
#include <openssl/ssl.h>
#include <pthread.h>

enum { NAME_LENGTH = 255 };

struct ctls_context {
    SSL_CTX *ssl;
    /// The process's.
    BIO_METHOD *method;
    bool is_server;
    /// Whether there are CAs to verify peers by.
    bool has_authorities;
    bool has_pin;
    uint8_t pin[CTLS_PIN_LENGTH];
    /// As RFC 7301 has it: its length first. Empty: none.
    uint8_t protocol[NAME_LENGTH + 1];
    /// Of the host, for SNI. Empty: none.
    char name[NAME_LENGTH + 1];
    /// Of all that a ticket depends on.
    EVP_MD_CTX *identity;
    /// A session counts as one, too.
    int references;
    pthread_mutex_t lock;
    /// A client's last one, to be resumed. Guarded by `lock`.
    SSL_SESSION *last;
};

struct ctls_session {
    SSL *ssl;
    ctls_context *context;
    /// The rest of the wire that the current call was given.
    const uint8_t *input;
    size_t input_left;
    /// The room that the current call was given for the wire; `NULL`: what is written goes to the messages.
    uint8_t *output;
    size_t output_left;
    /// Bytes to be taken: from `messages_taken` to `messages_length`.
    uint8_t *messages;
    size_t messages_taken, messages_length, messages_size;
    /// Where the wire is within a record: bytes of its header that have come, and of its body that have not.
    uint8_t header[SSL3_RT_HEADER_LENGTH];
    uint8_t header_length;
    uint16_t body_left;
    bool has_begun, is_shaking_hands, is_established, peer_has_ended, shall_end, has_ended;
    /// Why it is of no more use.
    const char *failure;
    /// Why the peer's certificate isn't accepted, where OpenSSL's word for it says less.
    const char *refusal;
    char *peer_name;
    size_t peer_name_length;
};

/// How OpenSSL moves bytes of a session. One for the process, since OpenSSL has few numbers for them.
BIO_METHOD *ctls_bio_method_new(void);

/// Whether another `length` bytes have room among the messages, which then are longer by that.
bool ctls_add_message(ctls_session *session, const void *bytes, size_t length);

/// Called by OpenSSL to verify the certificate of a session's peer.
int ctls_verify(X509_STORE_CTX *store, void *context);

/// Keeps the name of the peer's certificate. @return why it can't be a name; `NULL`: it can.
const char *ctls_keep_peer_name(ctls_session *session, X509 *certificate);

/// What the first byte of a wire without TLS looks like.
const char *ctls_stranger(uint8_t first);

/// Why OpenSSL's last call has failed. Empties its queue.
const char *ctls_failure(const ctls_session *session);

#endif
