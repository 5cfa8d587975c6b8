#ifdef CTLS_ENABLED
#include "internal.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

typedef struct {
    int code;
    const char *text;
} word;

/// Texts by the code of the alert that the peer sent.
static const word alerts[] = {
    {SSL_AD_UNEXPECTED_MESSAGE, "the peer says: an unexpected message"},
    {SSL_AD_BAD_RECORD_MAC, "the peer says: a record that isn't authentic"},
    {SSL_AD_HANDSHAKE_FAILURE, "the peer says: nothing in common"},
    {SSL_AD_BAD_CERTIFICATE, "the peer says: a bad certificate"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "the peer says: a certificate of a kind that it doesn't take"},
    {SSL_AD_CERTIFICATE_REVOKED, "the peer says: a certificate that is revoked"},
    {SSL_AD_CERTIFICATE_EXPIRED, "the peer says: a certificate that has expired"},
    {SSL_AD_CERTIFICATE_UNKNOWN, "the peer doesn't accept the certificate"},
    {SSL_AD_ILLEGAL_PARAMETER, "the peer says: an illegal parameter"},
    {SSL_AD_UNKNOWN_CA, "the peer doesn't know the CA of the certificate"},
    {SSL_AD_ACCESS_DENIED, "the peer says: access denied"},
    {SSL_AD_DECODE_ERROR, "the peer says: a message that it can't read"},
    {SSL_AD_DECRYPT_ERROR, "the peer says: a signature that is wrong"},
    {SSL_AD_PROTOCOL_VERSION, "the peer says: no protocol version in common"},
    {SSL_AD_INSUFFICIENT_SECURITY, "the peer says: too weak"},
    {SSL_AD_INTERNAL_ERROR, "the peer says: an error of its own"},
    {SSL_AD_USER_CANCELLED, "the peer has given up"},
    {SSL_AD_UNRECOGNIZED_NAME, "the peer doesn't know the server's name"},
    {TLS13_AD_CERTIFICATE_REQUIRED, "the peer demands a client's certificate"},
    {SSL_AD_NO_APPLICATION_PROTOCOL, "the peer says: no application protocol in common"},
};

static const word reasons[] = {
    {SSL_R_UNSUPPORTED_PROTOCOL, "no protocol version in common"},
    {SSL_R_WRONG_SSL_VERSION, "no protocol version in common"},
    {SSL_R_VERSION_TOO_LOW, "no protocol version in common"},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, "no protocol version in common"},
    {SSL_R_WRONG_VERSION_NUMBER, "a record of an unknown version"},
    {SSL_R_UNKNOWN_PROTOCOL, "a record of an unknown version"},
    {SSL_R_NO_SHARED_CIPHER, "no cipher in common"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, "no key exchange in common"},
    {SSL_R_NO_SUITABLE_GROUPS, "no key exchange in common"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no signature algorithm in common"},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, "no signature algorithm in common"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a record that isn't authentic"},
    {SSL_R_BAD_RECORD_TYPE, "a record of an unknown kind"},
    {SSL_R_UNEXPECTED_RECORD, "a record out of turn"},
    {SSL_R_UNEXPECTED_MESSAGE, "a message out of turn"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, "a record that is too long"},
    {SSL_R_DATA_LENGTH_TOO_LONG, "a record that is too long"},
    {SSL_R_ENCRYPTED_LENGTH_TOO_LONG, "a record that is too long"},
    {SSL_R_RECORD_TOO_SMALL, "a record that is too short"},
    {SSL_R_LENGTH_TOO_SHORT, "a record that is too short"},
    {SSL_R_EXCESSIVE_MESSAGE_SIZE, "a message that is too long"},
    {SSL_R_LENGTH_MISMATCH, "a message that can't be read"},
    {SSL_R_RECORD_LENGTH_MISMATCH, "a message that can't be read"},
    {SSL_R_BAD_EXTENSION, "a message that can't be read"},
    {SSL_R_BAD_LENGTH, "a message that can't be read"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the client has no certificate"},
    {SSL_R_NO_RENEGOTIATION, "a renegotiation, which isn't allowed"},
    {SSL_R_BAD_SIGNATURE, "a signature that is wrong"},
    {SSL_R_DIGEST_CHECK_FAILED, "a signature that is wrong"},
    {SSL_R_TOO_MANY_WARN_ALERTS, "too many alerts"},
    {SSL_R_READ_BIO_NOT_SET, "an error within OpenSSL"},
    {SSL_R_EE_KEY_TOO_SMALL, "the peer's certificate has a key that is too weak"},
    {SSL_R_CA_KEY_TOO_SMALL, "the peer's CA has a key that is too weak"},
};

typedef struct {
    int code;
    const char *of_client, *of_server;
} certificate_word;

static const certificate_word certificates[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, "the client's certificate has expired", "the server's certificate has expired"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "the client's certificate isn't valid yet", "the server's certificate isn't valid yet"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "the client's certificate isn't signed by a CA",
     "the server's certificate isn't signed by a CA"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "the client's certificate is of an unknown CA",
     "the server's certificate is of an unknown CA"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "the client's certificate is of an unknown CA",
     "the server's certificate is of an unknown CA"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "the client's certificate is of an unknown CA",
     "the server's certificate is of an unknown CA"},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "the client's certificate is of an unknown CA",
     "the server's certificate is of an unknown CA"},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, "the client's certificate isn't signed by the CA that it names",
     "the server's certificate isn't signed by the CA that it names"},
    {X509_V_ERR_INVALID_PURPOSE, "the client's certificate isn't one for clients",
     "the server's certificate isn't one for servers"},
    {X509_V_ERR_HOSTNAME_MISMATCH, "the client's certificate has another name",
     "the server's certificate is of another host"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, "the client's certificate has another address",
     "the server's certificate is of another address"},
    {X509_V_ERR_EE_KEY_TOO_SMALL, "the client's certificate has a key that is too weak",
     "the server's certificate has a key that is too weak"},
    {X509_V_ERR_CA_KEY_TOO_SMALL, "the client's CA has a key that is too weak",
     "the server's CA has a key that is too weak"},
    {X509_V_ERR_CA_MD_TOO_WEAK, "the client's certificate has a signature that is too weak",
     "the server's certificate has a signature that is too weak"},
};

static const char *find(const word *words, size_t count, int code) {
    for (size_t i = 0; i < count; i++)
        if (words[i].code == code) return words[i].text;
    return NULL;
}

static const char *certificate_failure(const ctls_session *session) {
    if (session->refusal != NULL) return session->refusal;
    bool is_server = session->context->is_server;
    long code = SSL_get_verify_result(session->ssl);
    for (size_t i = 0; i < sizeof certificates / sizeof *certificates; i++)
        if (certificates[i].code == code)
            return is_server ? certificates[i].of_client : certificates[i].of_server;
    return is_server ? "the client's certificate isn't accepted" : "the server's certificate isn't accepted";
}

const char *ctls_failure(const ctls_session *session) {
    // The first error is the cause; later ones are its consequences.
    unsigned long error = ERR_peek_error();
    ERR_clear_error();
    int reason = ERR_GET_REASON(error);
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) return "a message that can't be used";
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) return certificate_failure(session);
    const char *text = reason > SSL_AD_REASON_OFFSET
        ? find(alerts, sizeof alerts / sizeof *alerts, reason - SSL_AD_REASON_OFFSET)
        : find(reasons, sizeof reasons / sizeof *reasons, reason);
    if (text != NULL) return text;
    return reason > SSL_AD_REASON_OFFSET ? "the peer has sent an alert" : "a message that breaks the protocol";
}

const char *ctls_stranger(uint8_t first) {
    switch (first) {
    case 0x04: return "not TLS: looks like SOCKS4";
    case 0x05: return "not TLS: looks like SOCKS5";
    case 0x0a:
    case 0x0d: return "not TLS: looks like a PROXY header";
    case 0x80: return "not TLS: looks like SSL 2";
    default: break;
    }
    bool is_letter = first >= 'A' && first <= 'Z';
    return is_letter ? "not TLS: looks like HTTP" : "not TLS";
}
#endif
