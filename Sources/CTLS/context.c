#ifdef CTLS_ENABLED
#include "internal.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { TICKET_KEYS = 80, SECURITY_LEVEL = 2 };

/// Ciphers of TLS 1.2 with forward secrecy and authenticated records (RFC 9325 section 4.2).
static const char OLDER_CIPHERS[] = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK";
/// AES-128 comes first: it is as safe as AES-256, and takes a quarter less computing per byte.
static const char CIPHERS[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/// The keys belong to the process, so that tickets outlive a reload.
static uint8_t ticket_keys[TICKET_KEYS];
static bool has_ticket_keys;
static BIO_METHOD *bio_method;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void) {
    // All settings come from the server; OpenSSL reads no configuration file of the system. No exit handler either,
    // because other threads may still use OpenSSL when it runs.
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
    has_ticket_keys = RAND_priv_bytes(ticket_keys, TICKET_KEYS) == 1;
    bio_method = ctls_bio_method_new();
}

const char *ctls_version(void) { return OpenSSL_version(OPENSSL_VERSION_STRING); }

static int choose_protocol(
    SSL *ssl, const unsigned char **chosen, unsigned char *length, const unsigned char *offered, unsigned offered_length,
    void *user
) {
    (void)ssl;
    const ctls_context *context = user;
    for (unsigned i = 0; i < offered_length; i += offered[i] + 1u) {
        if (offered[i] != context->protocol[0] || memcmp(offered + i, context->protocol, offered[i] + 1u) != 0) continue;
        *chosen = offered + i + 1;
        *length = offered[i];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/// Keeps the last session of a client's context. @return 1: the context now owns the reference.
static int keep_session(SSL *ssl, SSL_SESSION *last) {
    ctls_session *session = SSL_get_app_data(ssl);
    ctls_context *context = session->context;
    pthread_mutex_lock(&context->lock);
    SSL_SESSION *former = context->last;
    context->last = last;
    pthread_mutex_unlock(&context->lock);
    SSL_SESSION_free(former);
    return 1;
}

static bool has_terms(SSL_CTX *ssl, bool is_server, int minimum) {
    SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
    SSL_CTX_set_options(
        ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA
    );
    // The caller buffers the wire, so OpenSSL need not; an idle session holds no buffer.
    SSL_CTX_set_mode(
        ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
    );
    SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_max_early_data(ssl, 0);
    if (is_server) {
        // A ticket holds everything that is needed to resume a session, so the server needs no cache.
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_num_tickets(ssl, 1);
        if (SSL_CTX_set_tlsext_ticket_keys(ssl, ticket_keys, TICKET_KEYS) != 1) return false;
    } else {
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ssl, keep_session);
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    }
    return SSL_CTX_set_min_proto_version(ssl, minimum == CTLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1
        && SSL_CTX_set_cipher_list(ssl, OLDER_CIPHERS) == 1 && SSL_CTX_set_ciphersuites(ssl, CIPHERS) == 1;
}

static ctls_context *create(bool is_server, int minimum) {
    pthread_once(&once, prepare);
    ctls_context *context = calloc(1, sizeof *context);
    if (context == NULL || !has_ticket_keys) {
        free(context);
        return NULL;
    }
    context->is_server = is_server;
    context->references = 1;
    pthread_mutex_init(&context->lock, NULL);
    context->method = bio_method;
    context->ssl = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    context->identity = EVP_MD_CTX_new();
    bool is_complete = context->method != NULL && context->ssl != NULL && context->identity != NULL
        && has_terms(context->ssl, is_server, minimum)
        && EVP_DigestInit_ex(context->identity, EVP_sha256(), NULL) == 1
        && EVP_DigestUpdate(context->identity, &minimum, sizeof minimum) == 1;
    ERR_clear_error();
    if (is_complete) {
        SSL_CTX_set_cert_verify_callback(context->ssl, ctls_verify, NULL);
        return context;
    }
    ctls_context_free(context);
    return NULL;
}

ctls_context *ctls_server_create(int minimum) { return create(true, minimum); }
ctls_context *ctls_client_create(int minimum) { return create(false, minimum); }

void ctls_context_free(ctls_context *context) {
    if (__atomic_sub_fetch(&context->references, 1, __ATOMIC_ACQ_REL) > 0) return;
    SSL_SESSION_free(context->last);
    EVP_MD_CTX_free(context->identity);
    SSL_CTX_free(context->ssl);
    pthread_mutex_destroy(&context->lock);
    free(context);
}

void ctls_pin(ctls_context *context, const uint8_t digest[CTLS_PIN_LENGTH]) {
    memcpy(context->pin, digest, CTLS_PIN_LENGTH);
    context->has_pin = true;
}

void ctls_expect_name(ctls_context *context, const char *name, bool is_address) {
    X509_VERIFY_PARAM *terms = SSL_CTX_get0_param(context->ssl);
    X509_VERIFY_PARAM_set_hostflags(terms, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address) {
        X509_VERIFY_PARAM_set1_ip_asc(terms, name);
    } else {
        X509_VERIFY_PARAM_set1_host(terms, name, 0);
        // RFC 6066 section 3: SNI carries no address, and a name without its trailing dot.
        size_t length = strnlen(name, NAME_LENGTH);
        if (length > 0 && name[length - 1] == '.') length--;
        memcpy(context->name, name, length);
    }
    ERR_clear_error();
}

void ctls_set_protocol(ctls_context *context, const char *name) {
    context->protocol[0] = (uint8_t)strnlen(name, NAME_LENGTH);
    memcpy(context->protocol + 1, name, context->protocol[0]);
    if (context->is_server) SSL_CTX_set_alpn_select_cb(context->ssl, choose_protocol, context);
    else SSL_CTX_set_alpn_protos(context->ssl, context->protocol, context->protocol[0] + 1u);
}

bool ctls_context_complete(ctls_context *context) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    bool is_complete = EVP_DigestFinal_ex(context->identity, digest, &length) == 1
        && SSL_CTX_set_session_id_context(context->ssl, digest, length) == 1;
    ERR_clear_error();
    return is_complete;
}
#endif
