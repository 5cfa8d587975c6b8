#ifdef CTLS_ENABLED
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/// The longest file that is read, in bytes. The CAs of a system take a quarter of that.
enum { LONGEST = 1 << 20 };

static const ctls_problem FINE = {NULL, 0};

static ctls_problem problem(const char *text) {
    ERR_clear_error();
    return (ctls_problem){text, 0};
}

typedef struct {
    char *bytes;
    size_t length;
} file_text;

static void forget(file_text *text) {
    if (text->bytes == NULL) return;
    OPENSSL_cleanse(text->bytes, text->length);
    free(text->bytes);
}

static ctls_problem failed(void) { return (ctls_problem){NULL, errno}; }

/// Whether users other than the intended ones may read the key. If root owns the file, its group is intended.
static bool is_open(const struct stat *state) {
    mode_t open = state->st_mode & (S_IRWXG | S_IRWXO);
    return state->st_uid == 0 ? (open & ~(mode_t)S_IRGRP) != 0 : open != 0;
}

static ctls_problem read_descriptor(int descriptor, bool is_secret, file_text *text) {
    struct stat state;
    if (fstat(descriptor, &state) < 0) return failed();
    if (!S_ISREG(state.st_mode)) return problem("not a file; expected one in the PEM format");
    if (state.st_size > LONGEST) return problem("longer than 1 MiB; expected a file in the PEM format");
    if (is_secret && is_open(&state))
        return problem("a private key that others may read; expected mode 0600, or 0640 if root owns it: chmod go= FILE");
    size_t size = (size_t)state.st_size;
    text->bytes = malloc(size + 1);
    if (text->bytes == NULL) return failed();
    while (text->length < size) {
        ssize_t count = read(descriptor, text->bytes + text->length, size - text->length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failed();
        if (count == 0) break;
        text->length += (size_t)count;
    }
    return FINE;
}

/// Opens without blocking, so that a FIFO is refused instead of waited for.
static ctls_problem read_file(const char *path, bool is_secret, file_text *text) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return failed();
    ctls_problem result = read_descriptor(descriptor, is_secret, text);
    close(descriptor);
    return result;
}

/// A server that starts unattended can't use keys with a passphrase.
static int no_passphrase(char *buffer, int size, int is_writing, void *was_asked) {
    (void)buffer, (void)size, (void)is_writing;
    if (was_asked != NULL) *(bool *)was_asked = true;
    return -1;
}

/// Reads a file, and overwrites its bytes in memory as soon as they have been used.
static ctls_problem use_file(
    ctls_context *context, const char *path, bool is_secret, ctls_problem (*use)(ctls_context *, BIO *)
) {
    file_text text = {NULL, 0};
    ctls_problem result = read_file(path, is_secret, &text);
    if (result.text == NULL && result.error == 0) {
        BIO *source = BIO_new_mem_buf(text.bytes, (int)text.length);
        result = source == NULL ? (ctls_problem){NULL, ENOMEM} : use(context, source);
        BIO_free(source);
    }
    forget(&text);
    return result;
}

static void note(ctls_context *context, X509 *certificate) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (X509_digest(certificate, EVP_sha256(), digest, &length) == 1)
        EVP_DigestUpdate(context->identity, digest, length);
}

static ctls_problem use_leaf(ctls_context *context, X509 *certificate) {
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        return problem("a certificate that has expired; expected a new one");
    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        return problem("a certificate that isn't valid yet; check the clock");
    if (SSL_CTX_use_certificate(context->ssl, certificate) != 1)
        return problem("a certificate that is too weak: a key of 2048 bits (RSA) or 224 (EC), and SHA-256, are the least");
    note(context, certificate);
    return FINE;
}

static ctls_problem use_chain(ctls_context *context, BIO *source) {
    X509 *leaf = PEM_read_bio_X509(source, NULL, no_passphrase, NULL);
    if (leaf == NULL) return problem("no certificate in the PEM format; expected '-----BEGIN CERTIFICATE-----'");
    ctls_problem result = use_leaf(context, leaf);
    X509_free(leaf);
    while (result.text == NULL) {
        X509 *next = PEM_read_bio_X509(source, NULL, no_passphrase, NULL);
        if (next == NULL) break;
        note(context, next);
        if (SSL_CTX_add0_chain_cert(context->ssl, next) == 1) continue;
        X509_free(next);
        return problem("a certificate behind the first one that is too weak");
    }
    if (result.text == NULL && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return problem("a certificate behind the first one that is broken");
    ERR_clear_error();
    return result;
}

ctls_problem ctls_use_certificate(ctls_context *context, const char *path) {
    return use_file(context, path, false, use_chain);
}

static ctls_problem use_key(ctls_context *context, BIO *source) {
    bool was_asked = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(source, NULL, no_passphrase, &was_asked);
    if (key == NULL)
        return problem(
            was_asked ? "a private key with a passphrase; expected one without: openssl pkey -in FILE -out NEW"
                      : "no private key in the PEM format; expected '-----BEGIN PRIVATE KEY-----'"
        );
    X509 *certificate = SSL_CTX_get0_certificate(context->ssl);
    bool is_match = certificate != NULL && X509_check_private_key(certificate, key) == 1;
    bool is_used = is_match && SSL_CTX_use_PrivateKey(context->ssl, key) == 1;
    EVP_PKEY_free(key);
    if (!is_match) return problem("the private key of another certificate");
    if (!is_used) return problem("a private key of a kind that TLS doesn't use; expected RSA, ECDSA or Ed25519");
    return FINE;
}

ctls_problem ctls_use_key(ctls_context *context, const char *path) {
    return use_file(context, path, true, use_key);
}

static ctls_problem trust(ctls_context *context, BIO *source) {
    X509_STORE *store = SSL_CTX_get_cert_store(context->ssl);
    int count = 0;
    for (X509 *next; (next = PEM_read_bio_X509(source, NULL, no_passphrase, NULL)) != NULL; count++) {
        bool is_authority = X509_check_ca(next) > 0;
        bool is_added = is_authority && X509_STORE_add_cert(store, next) == 1;
        // Tells clients with several certificates which CAs are accepted.
        if (is_added && context->is_server) SSL_CTX_add_client_CA(context->ssl, next);
        note(context, next);
        X509_free(next);
        if (!is_authority) return problem("a certificate that isn't a CA's (basicConstraints has no CA:TRUE)");
        if (!is_added) return problem("a certificate that can't be used");
    }
    if (count == 0) return problem("no certificate in the PEM format; expected those of CAs");
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return problem("a certificate behind the first one that is broken");
    ERR_clear_error();
    context->has_authorities = true;
    if (context->is_server)
        SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return FINE;
}

ctls_problem ctls_trust(ctls_context *context, const char *path) {
    return use_file(context, path, false, trust);
}

const char *ctls_system_authorities(void) {
    static const char *const places[] = {
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    };
    const char *named = getenv(X509_get_default_cert_file_env());
    if (named != NULL) return named;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], R_OK) == 0) return places[i];
    return NULL;
}

bool ctls_trust_system(ctls_context *context, const char *path) {
    context->has_authorities = SSL_CTX_load_verify_file(context->ssl, path) == 1;
    ERR_clear_error();
    return context->has_authorities;
}
#endif
