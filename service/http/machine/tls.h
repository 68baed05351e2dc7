/*
 * TLS: the server's certificate and key, the CA of client certificates, and their exchange for newer ones
 * while connections go on.
 */
#ifndef BGPPEERD_HTTP_MACHINE_TLS_H
#define BGPPEERD_HTTP_MACHINE_TLS_H

#include <microhttpd.h>
#include <stdbool.h>

#include "auth.h"
#include "base/err.h"

/* TLS 1.2 and 1.3, with forward secrecy and authenticated encryption only. */
#define TLS_PRIORITIES                                                                                       \
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA:+AES-256-GCM:+CHACHA20-POLY1305:"                \
    "+AES-128-GCM:+AEAD:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+SIGN-ALL:-SIGN-RSA-SHA1:"           \
    "-SIGN-ECDSA-SHA1:-SIGN-DSA-SHA1:+CTYPE-SRV-X509:+CTYPE-CLI-X509:+COMP-NULL:%SERVER_PRECEDENCE"

struct tls;

/* Names of PEM files. */
struct tls_files {
    const char *cert; /* with its chain behind it */
    const char *key;
    const char *client_ca;  /* NULL: clients are not asked for certificates */
    const char *client_crl; /* which of them are revoked, signed by one of client_ca; NULL: none are */
};
/* ERR_USAGE says which file and why. One at a time per process. */
int tls_new(const struct tls_files *files, struct tls **ret, struct err *err) MUST_CHECK;
/* After the daemons have stopped. Accepts NULL. */
void tls_free(struct tls *tls);
/* Read the files again; new handshakes use them. On failure nothing changes. */
int tls_reload(struct tls *tls, struct err *err) MUST_CHECK;

/* When the certificate in use expires, realtime; 0 = not known. From any thread. */
int64_t tls_expires_ms(struct tls *tls);

/* Put the callback that chooses the certificate into a daemon's options. */
struct MHD_OptionItem tls_option(void);

/* On a connection that is just being accepted: is it TLS? Asks for a client certificate if one is of use. */
bool tls_prepare(struct MHD_Connection *mhd);
/*
 * The principal of the connection's client certificate. *ret_present false: it has none, or no CA is known,
 * and the answer is -1 without an error. ERR_UNAUTHORIZED: it does not verify, or is no role.
 */
int tls_client(struct tls *tls, struct MHD_Connection *mhd, bool *ret_present, struct principal *ret,
               struct err *err) MUST_CHECK;

#endif
