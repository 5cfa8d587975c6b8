/// TLS by OpenSSL behind a handful of calls that move bytes from memory to memory.
///
/// A context has the keys and terms of many sessions, and may be used by several threads at once. A session belongs to one
/// thread at a time. No call touches a descriptor or raises a signal, and none leaves anything in OpenSSL's queue of
/// errors, which the sessions of a thread share. Texts are fixed words that stay valid for ever; none has bytes of the wire
/// in it.
///
/// Without the trait TLS this module is empty, and needs no OpenSSL.
#ifndef CTLS_H
#define CTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ctls_context ctls_context;
typedef struct ctls_session ctls_session;

/// What is wrong with a file. Either `text`, or `error` (an errno) of the system call that has failed; neither: nothing.
typedef struct {
    const char *text;
    int error;
} ctls_problem;

/// The oldest version that a context speaks.
enum { CTLS_1_2 = 12, CTLS_1_3 = 13 };

/// The bytes of a SHA-256.
enum { CTLS_PIN_LENGTH = 32 };

/// The version of OpenSSL at run time, as "3.0.22"; valid for ever.
const char *ctls_version(void);

// MARK: - Contexts

/// `NULL` if there is no memory.
ctls_context *ctls_server_create(int minimum);

/// Verifies nobody until it is told how: `ctls_trust`, `ctls_trust_system`, `ctls_pin`.
ctls_context *ctls_client_create(int minimum);

/// Its sessions may outlive it.
void ctls_context_free(ctls_context *context);

/// The certificate of a server, with those that lead to its CA behind it (PEM). One that has expired is refused.
ctls_problem ctls_use_certificate(ctls_context *context, const char *path);

/// The private key of that certificate (PEM). A file that others may read is refused.
ctls_problem ctls_use_key(ctls_context *context, const char *path);

/// The CAs that prove who a peer is (PEM). A server demands a certificate of its clients from now on.
ctls_problem ctls_trust(ctls_context *context, const char *path);

/// The file with the CAs of the system: that of the variable SSL_CERT_FILE, or where systems have it. `NULL`: there is none.
const char *ctls_system_authorities(void);

/// Takes that file, for a client; of its certificates those count that can be used. `false`: there are none.
bool ctls_trust_system(ctls_context *context, const char *path);

/// The SHA-256 of the only public key (a SubjectPublicKeyInfo) that the server may have. Without CAs it is proof enough.
void ctls_pin(ctls_context *context, const uint8_t digest[CTLS_PIN_LENGTH]);

/// The name that the server's certificate must have: of a host, or an address, which isn't told to the server. At most 255
/// bytes count.
void ctls_expect_name(ctls_context *context, const char *name, bool is_address);

/// A server's: takes a client that asks for this protocol (RFC 7301), and any that doesn't. A client's: asks for it.
void ctls_set_protocol(ctls_context *context, const char *name);

/// Ends a server's settings: lets tickets of this process resume sessions of contexts with the same certificate, CAs and
/// minimum alone. `false`: no memory.
bool ctls_context_complete(ctls_context *context);

// MARK: - Sessions

/// `NULL` if there is no memory. Messages of a client's wait to be taken.
ctls_session *ctls_session_create(ctls_context *context);
void ctls_session_free(ctls_session *session);

typedef struct {
    size_t consumed;
    size_t produced;
} ctls_step;

/// Turns bytes of the wire into payload, as far as both go.
/// @return `NULL`, or why the session has failed: for good.
const char *ctls_decode(
    ctls_session *session, const void *wire, size_t wire_length, void *payload, size_t room, ctls_step *step
);

/// Turns payload into bytes of the wire, as far as both go; nothing before the handshake's end.
const char *ctls_encode(
    ctls_session *session, const void *payload, size_t length, void *wire, size_t room, ctls_step *step
);

/// Bytes that the session has to say by itself. @return how many.
size_t ctls_take_messages(ctls_session *session, void *wire, size_t room);

/// Has new keys for what follows, and asks the peer for the same (RFC 8446 section 4.6.3). It goes before what is encoded next.
/// @return whether the session can.
bool ctls_renew_keys(ctls_session *session);

/// Says that nothing more follows (close_notify), at the handshake's end if that is still to come.
void ctls_end(ctls_session *session);

/// @param has_more whether there are bytes that it was shown and didn't use up.
/// @return why the wire can't end here; `NULL`: it can.
const char *ctls_wire_did_end(const ctls_session *session, bool has_more);

/// Whether the peer has said that nothing more follows, and all before it was given out.
bool ctls_peer_has_ended(const ctls_session *session);

/// The name that the peer's certificate proves, of 1 to 255 bytes without a NUL; valid as long as the session.
/// @return its length; 0: it has none.
size_t ctls_peer_name(const ctls_session *session, const char **name);

/// "TLSv1.3"; of a session whose handshake has ended.
const char *ctls_session_version(const ctls_session *session);
const char *ctls_session_cipher(const ctls_session *session);
/// Whether the handshake took up an earlier session.
bool ctls_session_is_resumed(const ctls_session *session);

#endif
