#ifdef CTLS_ENABLED
#include "internal.h"

#include <string.h>

enum {
    /// The most bytes of messages a session may hold. A certificate chain fits: OpenSSL's own limit for a chain is no
    /// higher.
    MOST_MESSAGES = 128 << 10,
    FIRST_MESSAGES = 2048,
};

bool ctls_add_message(ctls_session *session, const void *bytes, size_t length) {
    if (session->messages_taken > 0 && session->messages_taken == session->messages_length)
        session->messages_taken = session->messages_length = 0;
    size_t needed = session->messages_length + length;
    if (needed > MOST_MESSAGES) return false;
    if (needed > session->messages_size) {
        size_t size = session->messages_size == 0 ? FIRST_MESSAGES : session->messages_size;
        while (size < needed) size *= 2;
        uint8_t *larger = realloc(session->messages, size);
        if (larger == NULL) return false;
        session->messages = larger;
        session->messages_size = size;
    }
    memcpy(session->messages + session->messages_length, bytes, length);
    session->messages_length = needed;
    return true;
}

size_t ctls_take_messages(ctls_session *session, void *wire, size_t room) {
    size_t waiting = session->messages_length - session->messages_taken;
    size_t count = waiting < room ? waiting : room;
    if (count == 0) return 0;
    memcpy(wire, session->messages + session->messages_taken, count);
    session->messages_taken += count;
    if (count == waiting) {
        free(session->messages);
        session->messages = NULL;
        session->messages_taken = session->messages_length = session->messages_size = 0;
    }
    return count;
}

/// A write never waits. Bytes that don't fit into the call's memory become a message, which is taken before anything
/// else is encoded.
static int bio_write(BIO *bio, const char *bytes, size_t length, size_t *written) {
    ctls_session *session = BIO_get_data(bio);
    size_t count = length < session->output_left ? length : session->output_left;
    if (count > 0) {
        memcpy(session->output, bytes, count);
        session->output += count;
        session->output_left -= count;
    }
    if (count < length) {
        // Later writes of this call must follow the message, so they become messages too.
        session->output_left = 0;
        if (!ctls_add_message(session, bytes + count, length - count)) return 0;
    }
    *written = length;
    return 1;
}

/// Tracks where the wire is within a record.
static void follow(ctls_session *session, const uint8_t *bytes, size_t length) {
    while (length > 0) {
        if (session->body_left > 0) {
            size_t count = length < session->body_left ? length : session->body_left;
            session->body_left -= (uint16_t)count;
            bytes += count;
            length -= count;
            continue;
        }
        session->header[session->header_length++] = *bytes++;
        length--;
        if (session->header_length < SSL3_RT_HEADER_LENGTH) continue;
        session->header_length = 0;
        session->body_left = (uint16_t)(session->header[3] << 8 | session->header[4]);
    }
}

static int bio_read(BIO *bio, char *bytes, size_t room, size_t *count) {
    ctls_session *session = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *count = room < session->input_left ? room : session->input_left;
    if (*count == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(bytes, session->input, *count);
    follow(session, session->input, *count);
    session->input += *count;
    session->input_left -= *count;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *ctls_bio_method_new(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "memory of the call");
    if (method == NULL) return NULL;
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_ctrl(method, bio_control);
    BIO_meth_set_create(method, bio_create);
    return method;
}
#endif
