/*
 * `bgppeerd tls init`: a small private CA and the certificates that a service, its admin and its nodes need,
 * for those who have no CA. Files that exist are never overwritten: an existing CA signs what is missing, so
 * the command can be repeated for more nodes. Main thread only; keys live in GnuTLS's objects and the files.
 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/ip.h"
#include "cli_internal.h"
#include "datafile.h"
#include "model/object.h"

#define DAY_SECONDS      (24 * 3600)
#define CA_DAYS          3650
#define SERIAL_BYTES     16
#define COORDINATE_BYTES 32 /* of P-256: a private key, and each half of a public one */
#define PEM_MAX          65536

struct tls_settings {
    const char *dir;
    struct option_list hosts;
    struct option_list nodes;
    uint64_t days;
};

#define MEMBER(name) offsetof(struct tls_settings, name)

static const struct option OPTIONS[] = {
    {.name = "dir",
     .value = "DIR",
     .type = OPTION_TEXT,
     .offset = MEMBER(dir),
     .default_text = "./tls",
     .help = "Put keys and certificates there; what exists is kept"},
    {.name = "host",
     .value = "NAME",
     .type = OPTION_LIST,
     .offset = MEMBER(hosts),
     .default_text = "localhost",
     .help = "A name or address by which clients reach the service; 127.0.0.1 and ::1 are always in"},
    {.name = "node",
     .value = "NAME",
     .type = OPTION_LIST,
     .offset = MEMBER(nodes),
     .help = "Make a client certificate for this node"},
    {.name = "days",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(days),
     .min = 1,
     .max = CA_DAYS,
     .default_text = "825",
     .help = "How long the certificates are good; the CA's own is for ten years"},
};

/* A certificate to be made, with its key. */
struct maker {
    const char *dir;
    gnutls_x509_privkey_t ca_key;
    gnutls_x509_crt_t ca;
    time_t now;
    time_t until;
};

static int library(const char *what, int code, struct err *err) {
    return err_set(err, ERR_UNAVAILABLE, "cannot %s: %s", what, gnutls_strerror(code));
}

static bool exists(const char *dir, const char *name) {
    char path[PATH_MAX];
    struct stat status;

    return (size_t)snprintf(path, sizeof path, "%s/%s", dir, name) < sizeof path && stat(path, &status) == 0;
}

/* ---- files ---- */

static int save(const char *dir, const char *name, gnutls_datum_t *pem, bool public, struct err *err) {
    char path[PATH_MAX];
    int rc = datafile_write(dir, name, (const char *)pem->data, pem->size, err);

    gnutls_memset(pem->data, 0, pem->size);
    gnutls_free(pem->data);
    if (rc == 0 && public && (size_t)snprintf(path, sizeof path, "%s/%s", dir, name) < sizeof path) {
        (void)chmod(path, 0644); /* stays private otherwise, which is safe */
    }
    if (rc == 0) {
        fprintf(stderr, "bgppeerd: wrote %s/%s\n", dir, name);
    }
    return rc;
}

/* A number of GnuTLS's, without its sign's zero or short of its leading ones, as so many bytes. */
static bool put_number(const gnutls_datum_t *number, unsigned char out[COORDINATE_BYTES]) {
    const unsigned char *at = number->data;
    size_t len = number->size;

    while (len > COORDINATE_BYTES && *at == 0) {
        at++;
        len--;
    }
    if (len > COORDINATE_BYTES) {
        return false;
    }
    memset(out, 0, COORDINATE_BYTES - len);
    memcpy(out + COORDINATE_BYTES - len, at, len);
    return true;
}

/*
 * The key as PKCS #8 in PEM. GnuTLS's own export writes the private number like a signed one, with a zero in
 * front of half of them, where RFC 5915 wants exactly 32 bytes, and some libraries refuse that.
 */
static int export_key(gnutls_x509_privkey_t key, gnutls_datum_t *ret) {
    static const unsigned char BEFORE_KEY[] = {
        0x30, 0x81, 0x87, 0x02, 0x01, 0x00, /* PrivateKeyInfo, version 0 */
        0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
        0x02, 0x01, /* ecPublicKey */
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
        0x07,                                                             /* prime256v1 */
        0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, COORDINATE_BYTES, /* ECPrivateKey, version 1 */
    };
    static const unsigned char BEFORE_POINT[] = {0xa1, 0x44, 0x03, 0x42, 0x00, 0x04};
    unsigned char der[sizeof BEFORE_KEY + sizeof BEFORE_POINT + 3 * COORDINATE_BYTES], *at = der;
    gnutls_datum_t x, y, k, whole = {.data = der, .size = sizeof der};
    gnutls_ecc_curve_t curve;
    int rc = gnutls_x509_privkey_export_ecc_raw(key, &curve, &x, &y, &k);

    if (rc < 0) {
        return rc;
    }
    memcpy(at, BEFORE_KEY, sizeof BEFORE_KEY);
    at += sizeof BEFORE_KEY;
    if (curve != GNUTLS_ECC_CURVE_SECP256R1 || !put_number(&k, at) ||
        !put_number(&x, at + COORDINATE_BYTES + sizeof BEFORE_POINT) ||
        !put_number(&y, at + 2 * COORDINATE_BYTES + sizeof BEFORE_POINT)) {
        rc = GNUTLS_E_INTERNAL_ERROR;
    } else {
        memcpy(at + COORDINATE_BYTES, BEFORE_POINT, sizeof BEFORE_POINT);
        rc = gnutls_pem_base64_encode2("PRIVATE KEY", &whole, ret);
    }
    gnutls_memset(der, 0, sizeof der);
    gnutls_memset(k.data, 0, k.size);
    gnutls_free(x.data);
    gnutls_free(y.data);
    gnutls_free(k.data);
    return rc;
}

/* The key first: without a certificate it is used again, when a crash comes in between. */
static int save_pair(const char *dir, const char *stem, gnutls_x509_crt_t cert, gnutls_x509_privkey_t key,
                     struct err *err) {
    gnutls_datum_t pem = {.data = NULL};
    char name[NAME_MAX];
    int rc;

    snprintf(name, sizeof name, "%s.key", stem);
    if (!exists(dir, name)) {
        rc = export_key(key, &pem);
        if (rc < 0) {
            return library("write a key", rc, err);
        }
        if (save(dir, name, &pem, false, err) != 0) {
            return -1;
        }
    }
    rc = gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &pem);
    if (rc < 0) {
        return library("write a certificate", rc, err);
    }
    snprintf(name, sizeof name, "%s.crt", stem);
    return save(dir, name, &pem, true, err);
}

static int load(const char *dir, const char *name, struct buf *text, gnutls_datum_t *ret, struct err *err) {
    if (datafile_read(dir, name, PEM_MAX, text, err) != 0) {
        return -1;
    }
    *ret = (gnutls_datum_t){.data = (unsigned char *)text->data, .size = (unsigned)text->len};
    return 0;
}

/* ---- certificates ---- */

/* The key that is there already, else a new one. *ret is the caller's to free, also on failure. */
static int make_key(const char *dir, const char *stem, gnutls_x509_privkey_t *ret, struct err *err) {
    struct buf text = {.wipe = true};
    gnutls_datum_t pem;
    char name[NAME_MAX];
    int rc = gnutls_x509_privkey_init(ret);

    if (rc < 0) {
        return library("make a key", rc, err);
    }
    snprintf(name, sizeof name, "%s.key", stem);
    if (!exists(dir, name)) {
        rc = gnutls_x509_privkey_generate(*ret, GNUTLS_PK_ECDSA,
                                          GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
        return rc < 0 ? library("make a key", rc, err) : 0;
    }
    rc = load(dir, name, &text, &pem, err);
    if (rc == 0) {
        rc = gnutls_x509_privkey_import(*ret, &pem, GNUTLS_X509_FMT_PEM);
        rc = rc < 0 ? err_set(err, ERR_UNAVAILABLE,
                              "%s/%s is there without a certificate, and cannot be used: %s; move it away",
                              dir, name, gnutls_strerror(rc))
                    : 0;
    }
    buf_done(&text);
    return rc;
}

/* What all certificates have. A negative answer is GnuTLS's. */
static int fill(gnutls_x509_crt_t cert, gnutls_x509_privkey_t key, const char *name, const char *group,
                time_t now, time_t until) {
    unsigned char serial[SERIAL_BYTES], id[64];
    size_t id_len = sizeof id;
    int rc = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);

    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, and of full length */
    if (rc < 0 || (rc = gnutls_x509_crt_set_version(cert, 3)) < 0 ||
        (rc = gnutls_x509_crt_set_serial(cert, serial, sizeof serial)) < 0 ||
        (rc = gnutls_x509_crt_set_activation_time(cert, now - 300)) < 0 ||
        (rc = gnutls_x509_crt_set_expiration_time(cert, until)) < 0 ||
        (rc = gnutls_x509_crt_set_key(cert, key)) < 0 ||
        (rc = gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                            (unsigned)strlen(name))) < 0 ||
        (group != NULL && (rc = gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_ORGANIZATION_NAME, 0,
                                                              group, (unsigned)strlen(group))) < 0) ||
        (rc = gnutls_x509_crt_get_key_id(cert, GNUTLS_KEYID_USE_SHA256, id, &id_len)) < 0) {
        return rc;
    }
    return gnutls_x509_crt_set_subject_key_id(cert, id, id_len > 20 ? 20 : id_len);
}

static int sign(struct maker *maker, gnutls_x509_crt_t cert) {
    unsigned char id[64];
    size_t id_len = sizeof id;
    int rc = gnutls_x509_crt_get_subject_key_id(maker->ca, id, &id_len, NULL);

    if (rc >= 0) {
        rc = gnutls_x509_crt_set_authority_key_id(cert, id, id_len);
    }
    return rc < 0 ? rc : gnutls_x509_crt_sign2(cert, maker->ca, maker->ca_key, GNUTLS_DIG_SHA256, 0);
}

/* Subject alternative names: DNS names and addresses as what they are. */
static int add_host(gnutls_x509_crt_t cert, const char *host) {
    struct ip_addr addr;

    if (ip_parse(host, strlen(host), &addr)) {
        return gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, addr.bytes,
                                                    addr.family == IP_V6 ? 16 : 4, GNUTLS_FSAN_APPEND);
    }
    return gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, host, (unsigned)strlen(host),
                                                GNUTLS_FSAN_APPEND);
}

static int add_hosts(gnutls_x509_crt_t cert, const struct option_list *hosts) {
    static const char *const LOOPBACK[] = {"127.0.0.1", "::1"};
    int rc = 0;

    for (size_t i = 0; i < hosts->count && rc >= 0; i++) {
        rc = add_host(cert, hosts->items[i]);
    }
    for (size_t i = 0; i < 2 && rc >= 0; i++) {
        rc = add_host(cert, LOOPBACK[i]);
    }
    return rc;
}

/* One leaf with its key, unless it is there. `hosts` NULL: a client's. */
static int make_leaf(struct maker *maker, const char *stem, const char *name, const char *group,
                     const struct option_list *hosts, struct err *err) {
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t cert = NULL;
    char file[NAME_MAX];
    int rc;

    snprintf(file, sizeof file, "%s.crt", stem);
    if (exists(maker->dir, file)) {
        fprintf(stderr, "bgppeerd: kept %s/%s\n", maker->dir, file);
        return 0;
    }
    if (make_key(maker->dir, stem, &key, err) != 0) {
        if (key != NULL) {
            gnutls_x509_privkey_deinit(key);
        }
        return -1;
    }
    if ((rc = gnutls_x509_crt_init(&cert)) >= 0 &&
        (rc = fill(cert, key, name, group, maker->now, maker->until)) >= 0 &&
        (rc = gnutls_x509_crt_set_basic_constraints(cert, 0, -1)) >= 0 &&
        (rc = gnutls_x509_crt_set_key_usage(cert, GNUTLS_KEY_DIGITAL_SIGNATURE)) >= 0 &&
        (rc = gnutls_x509_crt_set_key_purpose_oid(
             cert, hosts != NULL ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT, 0)) >= 0 &&
        (rc = hosts != NULL ? add_hosts(cert, hosts) : 0) >= 0) {
        rc = sign(maker, cert);
    }
    rc = rc < 0 ? library("make a certificate", rc, err) : save_pair(maker->dir, stem, cert, key, err);
    if (cert != NULL) {
        gnutls_x509_crt_deinit(cert);
    }
    gnutls_x509_privkey_deinit(key);
    return rc;
}

static int make_ca(struct maker *maker, struct err *err) {
    int rc;

    if (make_key(maker->dir, "ca", &maker->ca_key, err) != 0) {
        return -1;
    }
    if ((rc = gnutls_x509_crt_init(&maker->ca)) >= 0 &&
        (rc = fill(maker->ca, maker->ca_key, "bgppeerd CA", NULL, maker->now,
                   maker->now + (time_t)CA_DAYS * DAY_SECONDS)) >= 0 &&
        (rc = gnutls_x509_crt_set_basic_constraints(maker->ca, 1, 0)) >= 0 &&
        (rc = gnutls_x509_crt_set_key_usage(maker->ca, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN)) >=
            0) {
        rc = sign(maker, maker->ca);
    }
    return rc < 0 ? library("make the CA", rc, err)
                  : save_pair(maker->dir, "ca", maker->ca, maker->ca_key, err);
}

static int load_ca(struct maker *maker, struct err *err) {
    struct buf key_text = {.wipe = true}, cert_text = BUF_INIT;
    gnutls_datum_t key, cert;
    int rc = -1;

    if (load(maker->dir, "ca.key", &key_text, &key, err) == 0 &&
        load(maker->dir, "ca.crt", &cert_text, &cert, err) == 0) {
        rc = gnutls_x509_privkey_init(&maker->ca_key);
        if (rc >= 0 && (rc = gnutls_x509_privkey_import(maker->ca_key, &key, GNUTLS_X509_FMT_PEM)) >= 0 &&
            (rc = gnutls_x509_crt_init(&maker->ca)) >= 0) {
            rc = gnutls_x509_crt_import(maker->ca, &cert, GNUTLS_X509_FMT_PEM);
        }
        rc = rc < 0 ? library("read the CA in this directory", rc, err) : 0;
    }
    buf_done(&key_text);
    buf_done(&cert_text);
    return rc;
}

static int make_nodes(struct maker *maker, const struct option_list *nodes, struct err *err) {
    char stem[300], name[300], why[256];

    for (size_t i = 0; i < nodes->count; i++) {
        const char *node = nodes->items[i];

        if (!name_is_valid(node, why, sizeof why)) {
            return err_set(err, ERR_USAGE, "--node \"%.100s\" is not the name of a node: %s", node, why);
        }
        /* A common name has at most 64 characters (RFC 5280, ub-common-name). */
        if ((size_t)snprintf(name, sizeof name, "system:node:%s", node) > 64) {
            return err_set(
                err, ERR_USAGE,
                "--node \"%.100s\" is too long for a certificate (52 characters); use a token of role "
                "node for it",
                node);
        }
        snprintf(stem, sizeof stem, "node-%.240s", node);
        if (make_leaf(maker, stem, name, "system:nodes", NULL, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* What outlives its CA is refused by everybody from then on, without a word about why. */
static int limit_to_ca(struct maker *maker, struct err *err) {
    time_t end = gnutls_x509_crt_get_expiration_time(maker->ca);

    if (end <= maker->now) {
        return err_set(
            err, ERR_USAGE,
            "the CA in %s has expired: move its certificates away, and the next call makes new ones "
            "(ca.key may stay)",
            maker->dir);
    }
    if (maker->until > end) {
        maker->until = end;
    }
    return 0;
}

static int init(const struct tls_settings *settings, struct err *err) {
    struct maker maker = {.dir = settings->dir, .now = time(NULL)};
    int rc;

    maker.until = maker.now + (time_t)settings->days * DAY_SECONDS;
    if (mkdir(settings->dir, 0700) != 0 && errno != EEXIST) {
        return err_set(err, ERR_UNAVAILABLE, "cannot make the directory %s: %s", settings->dir,
                       strerror(errno));
    }
    rc = exists(settings->dir, "ca.crt") ? load_ca(&maker, err) : make_ca(&maker, err);
    if (rc == 0) {
        rc = limit_to_ca(&maker, err);
    }
    if (rc == 0) {
        rc = make_leaf(&maker, "server", settings->hosts.items[0], NULL, &settings->hosts, err);
    }
    if (rc == 0) {
        rc = make_leaf(&maker, "admin", "admin", "bgppeerd:admin", NULL, err);
    }
    if (rc == 0) {
        rc = make_nodes(&maker, &settings->nodes, err);
    }
    if (maker.ca != NULL) {
        gnutls_x509_crt_deinit(maker.ca);
    }
    if (maker.ca_key != NULL) {
        gnutls_x509_privkey_deinit(maker.ca_key);
    }
    return rc;
}

static int run(const struct command *command, int argc, char **argv) {
    struct tls_settings settings = {.dir = NULL};
    struct err err = ERR_INIT;
    bool known = argc > 0 && strcmp(argv[0], "init") == 0;
    bool wants_help = argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);

    if (known && options_parse(VARIABLE_PREFIX, command->options, command->option_count, argc - 1, argv + 1,
                               &settings, NULL, &wants_help, &err) != 0) {
        return command_failed(&err);
    }
    if (wants_help) {
        printf("bgppeerd tls init [--host NAME]... [--node NAME]...\n\n");
        command_print_help(command);
        return CLI_OK;
    }
    if (!known) {
        err_set(&err, ERR_USAGE, "write \"bgppeerd tls init\"");
        return command_failed(&err);
    }
    umask(077);
    if (init(&settings, &err) != 0) {
        return command_failed(&err);
    }
    fprintf(stderr,
            "bgppeerd: start with --tls-cert %s/server.crt --tls-key %s/server.key --client-ca %s/ca.crt; "
            "clients "
            "need ca.crt; keep ca.key somewhere else\n",
            settings.dir, settings.dir, settings.dir);
    return CLI_OK;
}

const struct command command_tls = {
    .name = "tls",
    .summary = "Make a private CA and certificates for HTTPS",
    .options = OPTIONS,
    .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
    .run = run,
};
