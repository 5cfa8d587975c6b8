// MIT Kerberos' GSSAPI (RFC 2744), with what Swift can't import: macros with casts, and constants that are pointers.
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>

static inline int krb_has_failed(OM_uint32 major) { return GSS_ERROR(major) != 0; }

/// Bits that accompany success: the token was seen before, or arrived out of order.
static inline OM_uint32 krb_disorder(OM_uint32 major) {
    return major & (GSS_S_DUPLICATE_TOKEN | GSS_S_OLD_TOKEN | GSS_S_UNSEQ_TOKEN | GSS_S_GAP_TOKEN);
}

/// The bits of a token that may be a copy. If the client asks for sequencing, Kerberos can't tell an old copy from a
/// token that was overtaken, so the bit of an overtaken token is among them.
static inline OM_uint32 krb_replay(OM_uint32 major) {
    return major & (GSS_S_DUPLICATE_TOKEN | GSS_S_OLD_TOKEN | GSS_S_UNSEQ_TOKEN);
}

/// Imports a principal such as `socks/proxy.example.com`, or the name of a service on any host.
static inline OM_uint32 krb_import_name(OM_uint32 *minor, const char *text, size_t length, int is_principal, gss_name_t *name) {
    gss_buffer_desc buffer = {length, (void *)text};
    return gss_import_name(minor, &buffer, is_principal ? (gss_OID)GSS_KRB5_NT_PRINCIPAL_NAME : GSS_C_NT_HOSTBASED_SERVICE, name);
}

/// Acquires a credential of Kerberos 5 only. The keys are read from the file each time they are used.
static inline OM_uint32 krb_acquire(OM_uint32 *minor, const char *keytab, gss_name_t name, gss_cred_id_t *credential) {
    gss_key_value_element_desc element = {"keytab", keytab};
    gss_key_value_set_desc store = {1, &element};
    return gss_acquire_cred_from(minor, name, GSS_C_INDEFINITE, (gss_OID_set)gss_mech_set_krb5, GSS_C_ACCEPT, &store, credential,
                                 NULL, NULL);
}

static inline OM_uint32 krb_accept(OM_uint32 *minor, gss_ctx_id_t *context, gss_cred_id_t credential, gss_buffer_t token,
                                   gss_name_t *client, gss_buffer_t answer, OM_uint32 *flags, OM_uint32 *lifetime) {
    return gss_accept_sec_context(minor, context, credential, token, GSS_C_NO_CHANNEL_BINDINGS, client, NULL, answer, flags,
                                  lifetime, NULL);
}

/// - Parameter is_mechanism: whether the code is the minor one.
static inline OM_uint32 krb_describe(OM_uint32 code, int is_mechanism, gss_buffer_t text) {
    OM_uint32 minor, more = 0;
    return gss_display_status(&minor, code, is_mechanism ? GSS_C_MECH_CODE : GSS_C_GSS_CODE,
                              is_mechanism ? (gss_OID)gss_mech_krb5 : GSS_C_NO_OID, &more, text);
}

enum {
    KRB_INTEGRITY = GSS_C_INTEG_FLAG,
    KRB_CONFIDENTIALITY = GSS_C_CONF_FLAG,
    KRB_ANONYMOUS = GSS_C_ANON_FLAG,
};

static const OM_uint32 KRB_CONTINUE_NEEDED = GSS_S_CONTINUE_NEEDED;
static const OM_uint32 KRB_BAD_MIC = GSS_S_BAD_SIG;
static const OM_uint32 KRB_CONTEXT_EXPIRED = GSS_S_CONTEXT_EXPIRED;
static const OM_uint32 KRB_INDEFINITE = GSS_C_INDEFINITE;
