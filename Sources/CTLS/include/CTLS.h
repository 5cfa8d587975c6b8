/// TLS by OpenSSL, reduced to a few calls that move bytes from memory to memory.
///
/// A context has the keys and terms of many sessions, and may be used by several threads at once. A session belongs to
/// one thread at a time. No call touches a descriptor or raises a signal. No call leaves anything in OpenSSL's error
/// queue, which all sessions of a thread share. Texts are constants that stay valid for ever, and contain no bytes of
/// the wire.
///
/// Without the trait TLS this module is empty, and needs no OpenSSL.
#ifndef CTLS_H
#define CTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ctls_context ctls_context;
typedef struct ctls_session ctls_session;

/// An error about a file: either a `text`, or the `error` (an errno) of the system call that failed. Both are zero if
/// the file is fine.
typedef struct {
    const char *text;
    int error;
} ctls_problem;

/// The oldest version of TLS that a context accepts.
enum { CTLS_1_2 = 12, CTLS_1_3 = 13 };

/// The length of a SHA-256 digest, in bytes.
enum { CTLS_PIN_LENGTH = 32 };

/// The version of OpenSSL at run time, as "3.0.22"; valid for ever.
const char *ctls_version(void);

// MARK: - Contexts

/// `NULL` if there is no memory.
ctls_context *ctls_server_create(int minimum);

/// Accepts no server until it is told how to verify one: see `ctls_trust`, `ctls_trust_system`, `ctls_pin`.
ctls_context *ctls_client_create(int minimum);

/// Sessions of the context may outlive this call: each keeps a reference.
void ctls_context_free(ctls_context *context);

/// Sets a server's certificate, followed in the file by the intermediate certificates up to its CA (PEM). A certificate
/// that has expired is refused.
ctls_problem ctls_use_certificate(ctls_context *context, const char *path);

/// Sets the private key of that certificate (PEM). A file that others may read is refused.
ctls_problem ctls_use_key(ctls_context *context, const char *path);

/// Sets the CAs that peers are verified by (PEM). From now on a server demands a certificate from its clients.
ctls_problem ctls_trust(ctls_context *context, const char *path);

/// The path of the file with the system's CAs: the value of SSL_CERT_FILE if set, otherwise the first known place that
/// exists. `NULL` if there is none.
const char *ctls_system_authorities(void);

/// Makes a client trust the CAs of that file. Certificates that can't be used are skipped. @return `false` if none is
/// left.
bool ctls_trust_system(ctls_context *context, const char *path);

/// Pins the server's public key: the SHA-256 of its SubjectPublicKeyInfo. Without CAs the pin alone is enough proof.
void ctls_pin(ctls_context *context, const uint8_t digest[CTLS_PIN_LENGTH]);

/// Sets the name that the server's certificate must have: a host, or an address. Only a host's name is sent to the
/// server (SNI). At most 255 bytes count.
void ctls_expect_name(ctls_context *context, const char *name, bool is_address);

/// A server accepts clients that ask for this protocol (RFC 7301), and clients that ask for none. A client asks for it.
void ctls_set_protocol(ctls_context *context, const char *name);

/// Completes a server's settings. Tickets of this process then resume sessions only in contexts with the same
/// certificate, CAs and minimum version. @return `false` if there is no memory.
bool ctls_context_complete(ctls_context *context);

// MARK: - Sessions

/// `NULL` if there is no memory. A client's session has messages to take at once.
ctls_session *ctls_session_create(ctls_context *context);
void ctls_session_free(ctls_session *session);

typedef struct {
    size_t consumed;
    size_t produced;
} ctls_step;

/// Turns bytes of the wire into payload, until the wire is used up or the room is full.
/// @return `NULL`, or why the session has failed. A failure is final.
const char *ctls_decode(
    ctls_session *session, const void *wire, size_t wire_length, void *payload, size_t room, ctls_step *step
);

/// Turns payload into bytes of the wire, until the payload is used up or the room is full. Encodes nothing before the
/// handshake has ended.
const char *ctls_encode(
    ctls_session *session, const void *payload, size_t length, void *wire, size_t room, ctls_step *step
);

/// Takes bytes that the session sends on its own. @return their count.
size_t ctls_take_messages(ctls_session *session, void *wire, size_t room);

/// Changes the keys for all that is encoded next, and asks the peer for the same (RFC 8446 section 4.6.3). The message
/// about it is sent before the next encoded bytes.
/// @return whether the session can change its keys.
bool ctls_renew_keys(ctls_session *session);

/// Tells the peer that nothing more follows (close_notify). During the handshake, that is sent when the handshake ends.
void ctls_end(ctls_session *session);

/// @param has_more whether bytes were shown to the session that it didn't consume.
/// @return why the wire can't end here; `NULL` if it can.
const char *ctls_wire_did_end(const ctls_session *session, bool has_more);

/// Whether the peer has said that nothing more follows, and all its payload was given out.
bool ctls_peer_has_ended(const ctls_session *session);

/// The name that the peer's certificate proves: 1 to 255 bytes without a NUL, valid as long as the session.
/// @return the name's length; 0 if the peer has none.
size_t ctls_peer_name(const ctls_session *session, const char **name);

/// Such as "TLSv1.3". Valid once the handshake has ended.
const char *ctls_session_version(const ctls_session *session);
const char *ctls_session_cipher(const ctls_session *session);
/// Whether the handshake resumed an earlier session.
bool ctls_session_is_resumed(const ctls_session *session);

#endif
