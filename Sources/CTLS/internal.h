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
    /// Owned by the process.
    BIO_METHOD *method;
    bool is_server;
    /// Whether there are CAs to verify peers by.
    bool has_authorities;
    bool has_pin;
    uint8_t pin[CTLS_PIN_LENGTH];
    /// The protocol as RFC 7301 encodes it: its length comes first. Empty if there is none.
    uint8_t protocol[NAME_LENGTH + 1];
    /// The host's name for SNI. Empty if there is none.
    char name[NAME_LENGTH + 1];
    /// The digest of everything that tickets depend on.
    EVP_MD_CTX *identity;
    /// Each session holds a reference, too.
    int references;
    pthread_mutex_t lock;
    /// A client's last session, to be resumed. Guarded by `lock`.
    SSL_SESSION *last;
};

struct ctls_session {
    SSL *ssl;
    ctls_context *context;
    /// Bytes from the wire that the current call hasn't used yet.
    const uint8_t *input;
    size_t input_left;
    /// The room for the wire that the current call was given. If `NULL`, writes go to the messages.
    uint8_t *output;
    size_t output_left;
    /// Queued messages: the bytes from `messages_taken` to `messages_length` are still to be taken.
    uint8_t *messages;
    size_t messages_taken, messages_length, messages_size;
    /// The position of the wire within a record: bytes of its header that have come, and bytes of its body still to
    /// come.
    uint8_t header[SSL3_RT_HEADER_LENGTH];
    uint8_t header_length;
    uint16_t body_left;
    bool has_begun, is_shaking_hands, is_established, peer_has_ended, shall_end, has_ended;
    /// Why the session can't be used any more. `NULL` if it can.
    const char *failure;
    /// Why the peer's certificate isn't accepted, if OpenSSL's own reason says less.
    const char *refusal;
    char *peer_name;
    size_t peer_name_length;
};

/// The functions by which OpenSSL moves a session's bytes. One for the process, since OpenSSL has few numbers for them.
BIO_METHOD *ctls_bio_method_new(void);

/// Appends `length` bytes to the messages. @return whether they fit.
bool ctls_add_message(ctls_session *session, const void *bytes, size_t length);

/// Called by OpenSSL to verify the certificate of a session's peer.
int ctls_verify(X509_STORE_CTX *store, void *context);

/// Keeps the name in the peer's certificate. @return why it can't be used; `NULL` if it can.
const char *ctls_keep_peer_name(ctls_session *session, X509 *certificate);

/// Guesses the protocol of a wire without TLS by its first byte.
const char *ctls_stranger(uint8_t first);

/// Why OpenSSL's last call failed. Empties its error queue.
const char *ctls_failure(const ctls_session *session);

#endif
