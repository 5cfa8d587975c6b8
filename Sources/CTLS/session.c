#ifdef CTLS_ENABLED
#include "internal.h"

#include <openssl/err.h>
#include <string.h>

enum {
    /// The payload of the longest record, and the most bytes around it.
    RECORD = SSL3_RT_MAX_PLAIN_LENGTH,
    AROUND_RECORD = 256,
};

ctls_session *ctls_session_create(ctls_context *context) {
    ctls_session *session = calloc(1, sizeof *session);
    if (session == NULL) return NULL;
    session->context = context;
    __atomic_add_fetch(&context->references, 1, __ATOMIC_RELAXED);
    session->ssl = SSL_new(context->ssl);
    BIO *bio = BIO_new(context->method);
    if (session->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        ctls_session_free(session);
        ERR_clear_error();
        return NULL;
    }
    BIO_set_data(bio, session);
    SSL_set_bio(session->ssl, bio, bio);
    SSL_set_app_data(session->ssl, session);
    if (context->is_server) {
        SSL_set_accept_state(session->ssl);
        return session;
    }
    SSL_set_connect_state(session->ssl);
    if (context->name[0] != '\0') SSL_set_tlsext_host_name(session->ssl, context->name);
    pthread_mutex_lock(&context->lock);
    if (context->last != NULL) SSL_set_session(session->ssl, context->last);
    pthread_mutex_unlock(&context->lock);
    // This call waits for the server's answer. A real failure is reported again by the next call.
    SSL_do_handshake(session->ssl);
    ERR_clear_error();
    return session;
}

void ctls_session_free(ctls_session *session) {
    // Without this, a session that ends without a word from the peer couldn't be resumed.
    if (session->is_established && session->failure == NULL) SSL_set_shutdown(session->ssl, SSL_SENT_SHUTDOWN);
    SSL_free(session->ssl);
    ERR_clear_error();
    OPENSSL_free(session->peer_name);
    free(session->messages);
    ctls_context_free(session->context);
    free(session);
}

/// Records why OpenSSL's last call returned nothing. @return whether it waits for more of the wire.
static bool must_wait(ctls_session *session, int result) {
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ: return true;
    case SSL_ERROR_ZERO_RETURN: session->peer_has_ended = true; return true;
    default: session->failure = ctls_failure(session); return false;
    }
}

static void send_end(ctls_session *session) {
    session->has_ended = true;
    ERR_clear_error();
    SSL_shutdown(session->ssl);
    ERR_clear_error();
}

/// A ticket's claim about a client is valid only as long as the client's certificate.
static void check_resumed(ctls_session *session, X509 *certificate) {
    if (!SSL_session_reused(session->ssl)) return;
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        session->failure = "the client's certificate has expired";
    else session->failure = ctls_keep_peer_name(session, certificate);
}

static void shake_hands(ctls_session *session) {
    ERR_clear_error();
    int result = SSL_do_handshake(session->ssl);
    if (result != 1) {
        must_wait(session, result);
        return;
    }
    session->is_established = true;
    X509 *certificate = session->context->is_server ? SSL_get0_peer_certificate(session->ssl) : NULL;
    if (certificate != NULL) check_resumed(session, certificate);
    if (session->shall_end && !session->has_ended) send_end(session);
}

static bool is_stranger(const ctls_session *session, uint8_t first) {
    bool may_be = first == SSL3_RT_HANDSHAKE || (!session->context->is_server && first == SSL3_RT_ALERT);
    return !may_be;
}

/// Whether OpenSSL may see the bytes yet. An incomplete first record waits outside, in memory of its own length.
/// OpenSSL would allocate 40 KiB for a client that sends one byte.
static bool is_first_record_whole(const ctls_session *session) {
    if (session->is_shaking_hands) return true;
    if (session->input_left < SSL3_RT_HEADER_LENGTH) return false;
    size_t length = (size_t)session->input[3] << 8 | session->input[4];
    // OpenSSL refuses a longer record at once.
    return length > SSL3_RT_MAX_PLAIN_LENGTH || session->input_left >= SSL3_RT_HEADER_LENGTH + length;
}

static void decode(ctls_session *session, uint8_t *payload, size_t room, ctls_step *step) {
    if (!session->has_begun && session->input_left > 0) {
        session->has_begun = true;
        if (is_stranger(session, session->input[0])) {
            session->failure = ctls_stranger(session->input[0]);
            return;
        }
    }
    if (!session->is_established) {
        if (session->context->is_server && !is_first_record_whole(session)) return;
        session->is_shaking_hands = true;
        shake_hands(session);
    }
    while (session->is_established && session->failure == NULL && step->produced < room) {
        size_t count = 0, left = session->input_left, messages = session->messages_length;
        ERR_clear_error();
        int result = SSL_read_ex(session->ssl, payload + step->produced, room - step->produced, &count);
        step->produced += count;
        if (result == 1) continue;
        // OpenSSL also says so after a message that isn't payload, such as a key update, and after its own answer to
        // it.
        bool has_moved = session->input_left < left || session->messages_length != messages;
        if (!must_wait(session, result) || session->peer_has_ended || !has_moved) return;
    }
}

const char *ctls_decode(
    ctls_session *session, const void *wire, size_t wire_length, void *payload, size_t room, ctls_step *step
) {
    *step = (ctls_step){0, 0};
    if (session->failure != NULL) return session->failure;
    session->input = wire;
    session->input_left = wire_length;
    if (!session->peer_has_ended) decode(session, payload, room, step);
    // RFC 8446 section 6.1: bytes after the peer's end are ignored.
    step->consumed = session->peer_has_ended ? wire_length : wire_length - session->input_left;
    session->input = NULL;
    session->input_left = 0;
    // Payload that came before the failure is given out first.
    return step->produced > 0 ? NULL : session->failure;
}

static void encode(ctls_session *session, const uint8_t *payload, size_t length, size_t room, ctls_step *step) {
    while (step->consumed < length && session->failure == NULL) {
        size_t left = length - step->consumed;
        size_t count = left < RECORD ? left : RECORD;
        if (session->output_left < count + AROUND_RECORD) {
            // A short record is written only if there was no room for a long one from the beginning.
            if (session->output_left != room || room <= AROUND_RECORD) return;
            count = room - AROUND_RECORD;
        }
        size_t written = 0;
        ERR_clear_error();
        int result = SSL_write_ex(session->ssl, payload + step->consumed, count, &written);
        step->consumed += written;
        if (result != 1) session->failure = ctls_failure(session);
    }
}

const char *ctls_encode(
    ctls_session *session, const void *payload, size_t length, void *wire, size_t room, ctls_step *step
) {
    *step = (ctls_step){0, 0};
    if (session->failure != NULL) return session->failure;
    if (!session->is_established || session->has_ended) return NULL;
    size_t earlier = ctls_take_messages(session, wire, room);
    session->output = (uint8_t *)wire + earlier;
    session->output_left = room - earlier;
    if (session->messages == NULL) encode(session, payload, length, room - earlier, step);
    step->produced = (size_t)(session->output - (uint8_t *)wire);
    session->output = NULL;
    session->output_left = 0;
    return session->failure;
}

bool ctls_renew_keys(ctls_session *session) {
    bool is_renewed = session->is_established && SSL_key_update(session->ssl, SSL_KEY_UPDATE_REQUESTED) == 1;
    ERR_clear_error();
    return is_renewed;
}

void ctls_end(ctls_session *session) {
    session->shall_end = true;
    if (session->is_established && !session->has_ended && session->failure == NULL) send_end(session);
}

const char *ctls_wire_did_end(const ctls_session *session, bool has_more) {
    if (session->failure != NULL) return session->failure;
    if (!session->is_established) {
        // A peer that connects and leaves, such as a balancer's health check, hasn't broken the protocol.
        bool has_said_nothing = session->context->is_server && !session->has_begun;
        return has_said_nothing ? NULL : "the connection has ended within the handshake";
    }
    if (session->peer_has_ended) return NULL;
    bool is_complete = session->header_length == 0 && session->body_left == 0 && !has_more;
    return is_complete ? NULL : "the connection has ended within a record";
}

bool ctls_peer_has_ended(const ctls_session *session) { return session->peer_has_ended; }

size_t ctls_peer_name(const ctls_session *session, const char **name) {
    // Nothing is proved before the handshake has ended.
    if (!session->is_established || session->failure != NULL) return 0;
    *name = session->peer_name;
    return session->peer_name_length;
}

const char *ctls_session_version(const ctls_session *session) { return SSL_get_version(session->ssl); }
const char *ctls_session_cipher(const ctls_session *session) { return SSL_get_cipher_name(session->ssl); }
bool ctls_session_is_resumed(const ctls_session *session) { return SSL_session_reused(session->ssl) == 1; }
#endif
