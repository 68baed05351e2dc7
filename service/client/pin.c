/*
 * Pins: the SHA-256 of a certificate's public key (RFC 7469, section 2.4), by GnuTLS. Everything is freed
 * before the return; no locks.
 */
#include "pin.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>

#define SHA256_BYTES 32

/* The key in DER, to be freed by the caller, or GnuTLS' error. */
static int read_key(const char *file, gnutls_datum_t *ret) {
    gnutls_datum_t text = {.data = NULL};
    gnutls_x509_crt_t cert = NULL;
    gnutls_pubkey_t key = NULL;
    int result = gnutls_load_file(file, &text);
    if (result >= 0) {
        result = gnutls_x509_crt_init(&cert);
    }
    if (result >= 0) {
        result = gnutls_x509_crt_import(cert, &text, GNUTLS_X509_FMT_PEM);
    }
    if (result >= 0) {
        result = gnutls_pubkey_init(&key);
    }
    if (result >= 0) {
        result = gnutls_pubkey_import_x509(key, cert, 0);
    }
    if (result >= 0) {
        result = gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, ret);
    }
    if (key != NULL) {
        gnutls_pubkey_deinit(key);
    }
    if (cert != NULL) {
        gnutls_x509_crt_deinit(cert);
    }
    gnutls_free(text.data);
    return result;
}

int pin_of_certificate(const char *file, char ret[PIN_TEXT_MAX], struct err *err) {
    gnutls_datum_t key = {.data = NULL}, base64 = {.data = NULL};
    unsigned char hash[SHA256_BYTES];
    int result = read_key(file, &key);
    if (result >= 0) {
        result = gnutls_hash_fast(GNUTLS_DIG_SHA256, key.data, key.size, hash);
    }
    if (result >= 0) {
        const gnutls_datum_t bytes = {.data = hash, .size = sizeof(hash)};
        result = gnutls_base64_encode2(&bytes, &base64);
    }
    if (result >= 0) {
        snprintf(ret, PIN_TEXT_MAX, "sha256//%.*s", (int)base64.size, (const char *)base64.data);
    }
    gnutls_free(base64.data);
    gnutls_free(key.data);
    return result >= 0 ? 0
                       : err_set(err, ERR_USAGE, "%s holds no certificate that can be used: %s", file,
                                 gnutls_strerror(result));
}
