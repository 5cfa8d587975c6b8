#ifdef CTLS_ENABLED
#include "internal.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <string.h>

static bool has_pinned_key(const ctls_context *context, X509 *certificate) {
    unsigned char *key = NULL, digest[EVP_MAX_MD_SIZE];
    unsigned digest_length = 0;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
    bool is_same = length > 0
        && EVP_Digest(key, (size_t)length, digest, &digest_length, EVP_sha256(), NULL) == 1
        && digest_length == CTLS_PIN_LENGTH && memcmp(digest, context->pin, CTLS_PIN_LENGTH) == 0;
    OPENSSL_free(key);
    return is_same;
}

static int refuse(ctls_session *session, X509_STORE_CTX *store, const char *refusal) {
    session->refusal = refusal;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

int ctls_verify(X509_STORE_CTX *store, void *user) {
    (void)user;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    ctls_session *session = SSL_get_app_data(ssl);
    ctls_context *context = session->context;
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    if (context->has_authorities || !context->has_pin) {
        int result = X509_verify_cert(store);
        if (result <= 0) return result;
    }
    if (context->has_pin && !has_pinned_key(context, certificate))
        return refuse(session, store, "the server's key isn't the pinned one");
    const char *refusal = context->is_server ? ctls_keep_peer_name(session, certificate) : NULL;
    if (refusal != NULL) return refuse(session, store, refusal);
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

const char *ctls_keep_peer_name(ctls_session *session, X509 *certificate) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    int place = -1;
    // The last common name is the most specific one: the ones before it may be folders, as in Active Directory.
    for (int next = -1; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, next)) >= 0;) place = next;
    if (place < 0) return "the client's certificate has no common name";
    unsigned char *name = NULL;
    int length = ASN1_STRING_to_UTF8(&name, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
    if (length < 1 || length > NAME_LENGTH || memchr(name, 0, (size_t)length) != NULL) {
        OPENSSL_free(name);
        return "the common name of the client's certificate can't be a user's: empty, too long or with a NUL";
    }
    OPENSSL_free(session->peer_name);
    session->peer_name = (char *)name;
    session->peer_name_length = (size_t)length;
    return NULL;
}
#endif
