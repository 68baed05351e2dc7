/*
 * TLS for libmicrohttpd through GnuTLS.
 *
 * What was read from the files is one identity. A reload puts a new one in front; the old one stays for
 * handshakes that have begun with it and is freed by a reload RETIRED_MS later, or at the end. The lock
 * guards the list; an identity is immutable. GnuTLS gives the choosing callback no argument of ours, hence
 * the one pointer of the process.
 */
#include "machine/tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "machine/tls_memory.h"

#define CHAIN_MAX  8 /* certificates of one chain, ours or a client's */
#define GROUPS_MAX 16
#define RETIRED_MS 600000

struct identity {
    struct identity *next; /* the one before */
    unsigned count;
    gnutls_pcert_st chain[CHAIN_MAX];
    gnutls_privkey_t key;
    gnutls_x509_trust_list_t clients; /* NULL: client certificates are not asked for */
    int64_t retired_ms;               /* 0 = in use */
    int64_t expires_ms;               /* realtime; 0 = not known */
};

struct tls {
    char *cert_file, *key_file, *client_ca_file, *client_crl_file;
    pthread_mutex_t lock;
    struct identity *identities; /* newest first */
};

static _Atomic(struct tls *) served;

/* ---- reading ---- */

static void identity_free(struct identity *identity) {
    for (unsigned i = 0; i < identity->count; i++) {
        gnutls_pcert_deinit(&identity->chain[i]);
    }
    if (identity->key != NULL) {
        gnutls_privkey_deinit(identity->key);
    }
    if (identity->clients != NULL) {
        gnutls_x509_trust_list_deinit(identity->clients, 1);
    }
    free(identity);
}

static int unusable(const char *option, const char *file, int code, struct err *err) {
    return err_set(err, ERR_USAGE, "%s %s cannot be used: %s", option, file, gnutls_strerror(code));
}

static int read_chain(struct identity *identity, const char *file, struct err *err) {
    unsigned count = CHAIN_MAX;
    gnutls_datum_t text;
    int rc = gnutls_load_file(file, &text);

    if (rc >= 0) {
        rc = gnutls_pcert_list_import_x509_raw(identity->chain, &count, &text, GNUTLS_X509_FMT_PEM,
                                               GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
        gnutls_free(text.data);
    }
    if (rc < 0) {
        return unusable("--tls-cert", file, rc, err);
    }
    identity->count = count;
    return 0;
}

static int read_key(struct identity *identity, const char *file, struct err *err) {
    gnutls_datum_t text;
    int rc = gnutls_load_file(file, &text);

    if (rc >= 0) {
        rc = gnutls_privkey_init(&identity->key);
        if (rc >= 0) {
            rc = gnutls_privkey_import_x509_raw(identity->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
        }
        gnutls_memset(text.data, 0, text.size);
        gnutls_free(text.data);
    }
    return rc < 0 ? unusable("--tls-key", file, rc, err) : 0;
}

/* Does the key belong to the first certificate? */
static int check_pair(const struct identity *identity, struct err *err) {
    unsigned char ours[64], theirs[64];
    size_t ours_len = sizeof ours, theirs_len = sizeof theirs;
    gnutls_pubkey_t public = NULL;
    int rc = gnutls_pubkey_init(&public);

    if (rc >= 0) {
        rc = gnutls_pubkey_import_privkey(public, identity->key, 0, 0);
    }
    if (rc >= 0) {
        rc = gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, ours, &ours_len);
    }
    if (rc >= 0) {
        rc =
            gnutls_pubkey_get_key_id(identity->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, theirs, &theirs_len);
    }
    if (public != NULL) {
        gnutls_pubkey_deinit(public);
    }
    if (rc < 0) {
        return err_set(err, ERR_USAGE, "the TLS key cannot be compared with its certificate: %s",
                       gnutls_strerror(rc));
    }
    if (ours_len != theirs_len || memcmp(ours, theirs, ours_len) != 0) {
        return err_set(
            err, ERR_USAGE,
            "--tls-key is not the key of the first certificate in --tls-cert; give the pair that belongs "
            "together, the server's own certificate first");
    }
    return 0;
}

static int read_clients(struct identity *identity, const char *file, struct err *err) {
    int rc;

    if (file == NULL) {
        return 0;
    }
    rc = gnutls_x509_trust_list_init(&identity->clients, 0);
    if (rc >= 0) {
        rc = gnutls_x509_trust_list_add_trust_file(identity->clients, file, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
    }
    if (rc < 0) {
        return unusable("--client-ca", file, rc, err);
    }
    return rc > 0 ? 0 : err_set(err, ERR_USAGE, "--client-ca %s holds no certificate", file);
}

/* Was the list signed by one of the CAs? One that is out of date still says whom it says, and refusing it
 * would let them in again: that is warned about. */
static int check_list(gnutls_x509_crl_t list, const gnutls_x509_crt_t *issuers, unsigned issuer_count,
                      const char *file, struct err *err) {
    unsigned status = 0;
    int result = gnutls_x509_crl_verify(list, issuers, issuer_count, 0, &status);
    bool outdated = (status & GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED) != 0;

    if (result < 0) {
        return unusable("--client-crl", file, result, err);
    }
    if ((status &
         ~(unsigned)(GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED | (outdated ? GNUTLS_CERT_INVALID : 0))) != 0) {
        return err_set(err, ERR_USAGE, "--client-crl %s holds a list that no CA of --client-ca has signed",
                       file);
    }
    if (outdated) {
        log_event(LOG_WARN, "client-crl-outdated", LOG_STR("file", file),
                  LOG_STR("text", "certificates that were revoked since are accepted; fetch the newer list"));
    }
    return 0;
}

static int add_lists(struct identity *identity, gnutls_x509_crl_t *lists, unsigned count, const char *file,
                     const gnutls_x509_crt_t *issuers, unsigned issuer_count, struct err *err) {
    for (unsigned i = 0; i < count; i++) {
        if (check_list(lists[i], issuers, issuer_count, file, err) != 0) {
            for (unsigned k = 0; k < count; k++) {
                gnutls_x509_crl_deinit(lists[k]);
            }
            return -1;
        }
    }
    /* Takes the lists over. */
    int added = gnutls_x509_trust_list_add_crls(identity->clients, lists, count, 0, 0);
    return added < 0 ? unusable("--client-crl", file, added, err) : 0;
}

static int read_revoked(struct identity *identity, const char *file, const char *ca_file, struct err *err) {
    gnutls_x509_crl_t *lists = NULL;
    gnutls_x509_crt_t *issuers = NULL;
    unsigned count = 0, issuer_count = 0;
    gnutls_datum_t text;

    if (file == NULL) {
        return 0;
    }
    int result = gnutls_load_file(ca_file, &text);
    if (result >= 0) {
        result = gnutls_x509_crt_list_import2(&issuers, &issuer_count, &text, GNUTLS_X509_FMT_PEM, 0);
        gnutls_free(text.data);
    }
    if (result < 0) {
        return unusable("--client-ca", ca_file, result, err);
    }
    result = gnutls_load_file(file, &text);
    if (result >= 0) {
        result = gnutls_x509_crl_list_import2(&lists, &count, &text, GNUTLS_X509_FMT_PEM, 0);
        gnutls_free(text.data);
    }
    result = result < 0 ? unusable("--client-crl", file, result, err)
                        : add_lists(identity, lists, count, file, issuers, issuer_count, err);
    for (unsigned i = 0; i < issuer_count; i++) {
        gnutls_x509_crt_deinit(issuers[i]);
    }
    gnutls_free(issuers);
    gnutls_free(lists);
    return result;
}

static void log_identity(const struct tls *tls, struct identity *identity) {
    char until[CLOCK_TEXT_MAX] = "";
    gnutls_x509_crt_t cert;

    if (gnutls_x509_crt_init(&cert) < 0) {
        return;
    }
    if (gnutls_x509_crt_import(cert, &identity->chain[0].cert, GNUTLS_X509_FMT_DER) >= 0) {
        identity->expires_ms = (int64_t)gnutls_x509_crt_get_expiration_time(cert) * 1000;
        clock_format_seconds(identity->expires_ms, until);
        log_event(identity->expires_ms < clock_realtime_ms() ? LOG_WARN : LOG_INFO, "tls-certificate",
                  LOG_STR("file", tls->cert_file), LOG_STR("expires", until),
                  LOG_STR("clientCA", tls->client_ca_file));
    }
    gnutls_x509_crt_deinit(cert);
}

int tls_reload(struct tls *tls, struct err *err) {
    struct identity *identity = base_calloc(1, sizeof *identity), *old;
    int64_t now_ms = clock_monotonic_ms();

    if (identity == NULL) {
        return err_no_memory(err);
    }
    if (read_chain(identity, tls->cert_file, err) < 0 || read_key(identity, tls->key_file, err) < 0 ||
        check_pair(identity, err) < 0 || read_clients(identity, tls->client_ca_file, err) < 0 ||
        read_revoked(identity, tls->client_crl_file, tls->client_ca_file, err) < 0) {
        identity_free(identity);
        return -1;
    }
    log_identity(tls, identity);
    pthread_mutex_lock(&tls->lock);
    old = tls->identities;
    if (old != NULL) {
        old->retired_ms = now_ms;
    }
    identity->next = old;
    tls->identities = identity;
    while (old != NULL && old->next != NULL) {
        if (now_ms - old->next->retired_ms > RETIRED_MS) {
            struct identity *gone = old->next;

            old->next = gone->next;
            identity_free(gone);
        } else {
            old = old->next;
        }
    }
    pthread_mutex_unlock(&tls->lock);
    return 0;
}

static bool copy_name(const char *name, char **ret) {
    *ret = name != NULL ? base_strdup(name) : NULL;
    return name == NULL || *ret != NULL;
}

int tls_new(const struct tls_files *files, struct tls **ret, struct err *err) {
    struct tls *tls = base_calloc(1, sizeof(*tls));

    if (tls == NULL) {
        return err_no_memory(err);
    }
    tls_memory_wipe();
    pthread_mutex_init(&tls->lock, NULL);
    if (!copy_name(files->cert, &tls->cert_file) || !copy_name(files->key, &tls->key_file) ||
        !copy_name(files->client_ca, &tls->client_ca_file) ||
        !copy_name(files->client_crl, &tls->client_crl_file)) {
        tls_free(tls);
        return err_no_memory(err);
    }
    if (tls_reload(tls, err) < 0) {
        tls_free(tls);
        return -1;
    }
    atomic_store(&served, tls);
    *ret = tls;
    return 0;
}

void tls_free(struct tls *tls) {
    struct tls *expected = tls;
    struct identity *next;

    if (tls == NULL) {
        return;
    }
    atomic_compare_exchange_strong(&served, &expected, NULL);
    for (struct identity *identity = tls->identities; identity != NULL; identity = next) {
        next = identity->next;
        identity_free(identity);
    }
    free(tls->cert_file);
    free(tls->key_file);
    free(tls->client_ca_file);
    free(tls->client_crl_file);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

/* ---- handshakes ---- */

static struct identity *newest(struct tls *tls) {
    struct identity *identity;

    pthread_mutex_lock(&tls->lock);
    identity = tls->identities;
    pthread_mutex_unlock(&tls->lock);
    return identity;
}

int64_t tls_expires_ms(struct tls *tls) {
    int64_t expires_ms;

    pthread_mutex_lock(&tls->lock);
    expires_ms = tls->identities->expires_ms;
    pthread_mutex_unlock(&tls->lock);
    return expires_ms;
}

static int choose(gnutls_session_t session, const gnutls_datum_t *cas, int ca_count,
                  const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **chain,
                  unsigned *count, gnutls_privkey_t *key) {
    struct tls *tls = atomic_load(&served);
    struct identity *identity;

    (void)session;
    (void)cas;
    (void)ca_count;
    (void)algorithms;
    (void)algorithm_count;
    if (tls == NULL) {
        return -1;
    }
    identity = newest(tls);
    *chain = identity->chain;
    *count = identity->count;
    *key = identity->key;
    return 0;
}

struct MHD_OptionItem tls_option(void) {
    gnutls_certificate_retrieve_function2 *callback = choose;
    struct MHD_OptionItem item = {.option = MHD_OPTION_HTTPS_CERT_CALLBACK};

    /* libmicrohttpd takes the function as an object pointer; ISO C has no conversion between the two. */
    memcpy(&item.ptr_value, &callback, sizeof item.ptr_value);
    return item;
}

static gnutls_session_t session_of(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    return info != NULL ? info->tls_session : NULL;
}

bool tls_prepare(struct MHD_Connection *mhd) {
    gnutls_session_t session = session_of(mhd);
    struct tls *tls = atomic_load(&served);

    if (session == NULL) {
        return false;
    }
    if (tls != NULL && newest(tls)->clients != NULL) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
        /* No list of CAs goes out: it would be the one of the daemon's start, and clients heed it. */
        gnutls_certificate_send_x509_rdn_sequence(session, 1);
    }
    return true;
}

/* ---- a client's certificate ---- */

static int refuse_certificate(unsigned status, struct err *err) {
    gnutls_datum_t text = {.data = NULL};

    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0) {
        text.data = NULL;
    }
    err_set(err, ERR_UNAUTHORIZED, "the client certificate does not verify against --client-ca: %s",
            text.data != NULL ? (const char *)text.data : "no reason given");
    gnutls_free(text.data);
    return -1;
}

static int verify(struct identity *identity, gnutls_x509_crt_t *chain, unsigned count, struct err *err) {
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned status = 0;
    int rc =
        gnutls_x509_trust_list_verify_crt2(identity->clients, chain, count, &purpose, 1, 0, &status, NULL);

    if (rc < 0) {
        return err_set(err, ERR_UNAUTHORIZED, "the client certificate cannot be verified: %s",
                       gnutls_strerror(rc));
    }
    return status == 0 ? 0 : refuse_certificate(status, err);
}

/* One attribute of the subject as it is, not escaped as GnuTLS's texts are. false: it is no text that can be
 * taken as it is, or it does not fit, or has a NUL in it. */
static bool subject_text(const gnutls_x509_ava_st *part, char out[AUTH_USER_MAX]) {
    enum { UTF8_STRING = 12, PRINTABLE_STRING = 19, IA5_STRING = 22 }; /* ASN.1's universal tags */
    unsigned tag = (unsigned)part->value_tag & 0x1f;

    if ((tag != UTF8_STRING && tag != PRINTABLE_STRING && tag != IA5_STRING) ||
        part->value.size >= AUTH_USER_MAX || memchr(part->value.data, '\0', part->value.size) != NULL) {
        return false;
    }
    memcpy(out, part->value.data, part->value.size);
    out[part->value.size] = '\0';
    return true;
}

static bool is_attribute(const gnutls_x509_ava_st *part, const char *oid) {
    return part->oid.size >= strlen(oid) && strncmp((const char *)part->oid.data, oid, strlen(oid)) == 0 &&
           (part->oid.size == strlen(oid) || part->oid.data[strlen(oid)] == '\0');
}

/* The first CN, and the O's up to GROUPS_MAX; others that are no text are as good as not there. */
static int read_subject(gnutls_x509_crt_t cert, struct principal *ret, struct err *err) {
    char name[AUTH_USER_MAX] = "", texts[GROUPS_MAX][AUTH_USER_MAX];
    const char *groups[GROUPS_MAX];
    gnutls_x509_ava_st part;
    gnutls_x509_dn_t subject;
    bool named = false;
    size_t count = 0;

    if (gnutls_x509_crt_get_subject(cert, &subject) < 0) {
        return err_set(err, ERR_UNAUTHORIZED, "the client certificate's subject cannot be read");
    }
    for (int i = 0; gnutls_x509_dn_get_rdn_ava(subject, i, 0, &part) >= 0; i++) {
        for (int j = 0; gnutls_x509_dn_get_rdn_ava(subject, i, j, &part) >= 0; j++) {
            if (is_attribute(&part, GNUTLS_OID_X520_COMMON_NAME) && !named) {
                named = true;
                if (!subject_text(&part, name)) {
                    name[0] = '\0';
                }
            } else if (is_attribute(&part, GNUTLS_OID_X520_ORGANIZATION_NAME) && count < GROUPS_MAX &&
                       subject_text(&part, texts[count])) {
                groups[count] = texts[count];
                count++;
            }
        }
    }
    return principal_from_certificate(name, groups, count, ret, err);
}

int tls_client(struct tls *tls, struct MHD_Connection *mhd, bool *ret_present, struct principal *ret,
               struct err *err) {
    struct identity *identity = newest(tls);
    gnutls_x509_crt_t chain[CHAIN_MAX];
    const gnutls_datum_t *raw;
    unsigned count = 0, have = 0;
    int rc = -1;

    raw = gnutls_certificate_get_peers(session_of(mhd), &count);
    *ret_present = raw != NULL && count > 0 && identity->clients != NULL;
    if (!*ret_present) {
        return -1;
    }
    for (; have < count && have < CHAIN_MAX; have++) {
        if (gnutls_x509_crt_init(&chain[have]) < 0) {
            break;
        }
        if (gnutls_x509_crt_import(chain[have], &raw[have], GNUTLS_X509_FMT_DER) < 0) {
            gnutls_x509_crt_deinit(chain[have]);
            break;
        }
    }
    if (have == 0) {
        err_set(err, ERR_UNAUTHORIZED, "the client certificate cannot be read");
    } else if (verify(identity, chain, have, err) == 0) {
        rc = read_subject(chain[0], ret, err);
    }
    while (have > 0) {
        gnutls_x509_crt_deinit(chain[--have]);
    }
    return rc;
}
