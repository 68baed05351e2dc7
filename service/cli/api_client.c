/*
 * API client: HTTP/1.1 over a socket or GnuTLS, without redirects, keep-alive or chunks, which our service
 * does not send here. A struct call owns its socket and session for one request. Main thread only.
 */
#include "api_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/number.h"
#include "codec.h"
#include "datafile.h"

#define BACKUP_SECONDS    3600 /* until the first byte of a backup */
#define TIMEOUT_SECONDS   30
#define LISTEN_FILE_MAX   65536
#define HEAD_MAX          65536
#define ANSWER_MAX        (64 * 1024 * 1024)
#define CLIENT_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct call {
    char address[HTTP_ADDRESS_TEXT_MAX];
    char cert_file[PATH_MAX];   /* "" = plain */
    char token[TOKEN_TEXT_MAX]; /* "" = none */
    int timeout_seconds;        /* of each step */
    int fd;
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session; /* NULL = plain */
};

/* ---- where, and as whom ---- */

/* The listener to use: a plain one if there is any, because it needs no trust in a certificate. */
static int choose_listener(struct call *call, char *text, struct err *err) {
    for (char *line = strtok_r(text, "\n", &text); line != NULL; line = strtok_r(NULL, "\n", &text)) {
        bool tls = strncmp(line, "https://", 8) == 0;
        const char *address = line + (tls ? 8 : 7);
        size_t len = strcspn(address, " ");

        if ((!tls && strncmp(line, "http://", 7) != 0) || len >= sizeof call->address) {
            continue;
        }
        if (call->address[0] == '\0' || !tls) {
            snprintf(call->address, sizeof call->address, "%.*s", (int)len, address);
            snprintf(call->cert_file, sizeof call->cert_file, "%s",
                     tls && address[len] == ' ' ? address + len + 1 : "");
        }
        if (!tls) {
            break;
        }
    }
    return call->address[0] != '\0'
               ? 0
               : err_set(err, ERR_UNAVAILABLE, "the file \"listen\" in the data directory names no address");
}

static int find_service(struct call *call, const char *data_dir, struct err *err) {
    struct buf text = BUF_INIT;
    int rc = datafile_read(data_dir, DATAFILE_LISTEN, LISTEN_FILE_MAX, &text, err);

    if (rc == 0) {
        rc = choose_listener(call, text.data, err);
    } else if (err->code == ERR_NOT_FOUND) {
        rc = err_set(
            err, ERR_UNAVAILABLE,
            "a process has the data directory %s, but does not say where it listens (there is no file "
            "\"listen\" in it); it may be starting or stopping: try again in a moment",
            data_dir);
    }
    buf_done(&text);
    return rc;
}

static int read_token(struct call *call, const char *data_dir, const char *token_file, struct err *err) {
    struct buf text = BUF_INIT;
    int rc = token_file != NULL ? datafile_read(NULL, token_file, 1024, &text, err)
                                : datafile_read(data_dir, DATAFILE_ADMIN_TOKEN, 1024, &text, err);

    if (rc == 0) {
        text.data[strcspn(text.data, "\r\n")] = '\0';
        if (strlen(text.data) != TOKEN_TEXT_MAX - 1) {
            rc = err_set(err, ERR_USAGE, "the token file does not hold a token (bpd_…)");
        } else {
            memcpy(call->token, text.data, TOKEN_TEXT_MAX);
        }
    } else if (err->code == ERR_NOT_FOUND && token_file == NULL) {
        err_clear(err);
        rc = 0; /* a service that runs with --no-auth makes none; others will say so */
    } else if (err->code == ERR_NOT_FOUND) {
        err->code = ERR_USAGE;
        err_wrap(err, "an admin token is needed to ask the running service; name its file with --token-file");
    }
    buf_done(&text);
    return rc;
}

/* ---- the connection ---- */

static int connect_to(struct call *call, struct err *err) {
    const struct timeval timeout = {.tv_sec = call->timeout_seconds};
    struct http_listen_address address;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v6;
    int rc;

    if (http_address_parse(call->address, &address, err) != 0) {
        return -1;
    }
    is_v6 = address.addr.family == IP_V6;
    v4.sin_port = v6.sin6_port = htons(address.port);
    memcpy(&v4.sin_addr, address.addr.bytes, 4);
    memcpy(&v6.sin6_addr, address.addr.bytes, 16);
    call->fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (call->fd < 0) {
        return err_set(err, ERR_UNAVAILABLE, "no socket: %s", strerror(errno));
    }
    (void)setsockopt(call->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    (void)setsockopt(call->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    rc = is_v6 ? connect(call->fd, (const struct sockaddr *)&v6, sizeof v6)
               : connect(call->fd, (const struct sockaddr *)&v4, sizeof v4);
    return rc == 0 ? 0
                   : err_set(err, ERR_UNAVAILABLE, "cannot reach the service on %s: %s", call->address,
                             strerror(errno));
}

/* Is the other end's certificate the first one in the file? Then names and CAs do not matter. */
static int check_certificate(struct call *call, struct err *err) {
    unsigned count = 0;
    const gnutls_datum_t *theirs = gnutls_certificate_get_peers(call->session, &count);
    gnutls_datum_t text = {.data = NULL}, der = {.data = NULL};
    gnutls_x509_crt_t cert = NULL;
    bool same = false;

    if (theirs != NULL && count > 0 && gnutls_load_file(call->cert_file, &text) >= 0 &&
        gnutls_x509_crt_init(&cert) >= 0 && gnutls_x509_crt_import(cert, &text, GNUTLS_X509_FMT_PEM) >= 0 &&
        gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_DER, &der) >= 0) {
        same = der.size == theirs[0].size && memcmp(der.data, theirs[0].data, der.size) == 0;
    }
    if (cert != NULL) {
        gnutls_x509_crt_deinit(cert);
    }
    gnutls_free(der.data);
    gnutls_free(text.data);
    return same ? 0
                : err_set(err, ERR_UNAVAILABLE,
                          "whoever answers on %s does not have the certificate in %s; if that file is new, "
                          "send the "
                          "service SIGHUP first",
                          call->address, call->cert_file);
}

static int start_tls(struct call *call, struct err *err) {
    int rc = gnutls_certificate_allocate_credentials(&call->credentials);

    if (rc >= 0) {
        rc = gnutls_init(&call->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);
    }
    if (rc >= 0) {
        rc = gnutls_priority_set_direct(call->session, CLIENT_PRIORITIES, NULL);
    }
    if (rc >= 0) {
        rc = gnutls_credentials_set(call->session, GNUTLS_CRD_CERTIFICATE, call->credentials);
    }
    if (rc >= 0) {
        gnutls_transport_set_int(call->session, call->fd);
        do {
            rc = gnutls_handshake(call->session);
        } while (rc < 0 && gnutls_error_is_fatal(rc) == 0 && rc != GNUTLS_E_AGAIN);
    }
    if (rc < 0) {
        return err_set(err, ERR_UNAVAILABLE, "no TLS connection to the service on %s: %s", call->address,
                       gnutls_strerror(rc));
    }
    return check_certificate(call, err);
}

static ssize_t send_some(struct call *call, const char *bytes, size_t len) {
    return call->session != NULL ? gnutls_record_send(call->session, bytes, len)
                                 : send(call->fd, bytes, len, MSG_NOSIGNAL);
}

/* 0 at the end, negative when broken. */
static ssize_t receive_some(struct call *call, char *bytes, size_t len) {
    ssize_t done;

    if (call->session == NULL) {
        do {
            done = recv(call->fd, bytes, len, 0);
        } while (done < 0 && errno == EINTR);
        return done;
    }
    do {
        done = gnutls_record_recv(call->session, bytes, len);
    } while (done < 0 && gnutls_error_is_fatal((int)done) == 0 && done != GNUTLS_E_AGAIN);
    /* A close without a TLS goodbye: the length that was announced says whether anything is missing. */
    return done == GNUTLS_E_PREMATURE_TERMINATION ? 0 : done;
}

static void end(struct call *call) {
    if (call->session != NULL) {
        gnutls_deinit(call->session);
    }
    if (call->credentials != NULL) {
        gnutls_certificate_free_credentials(call->credentials);
    }
    if (call->fd >= 0) {
        close(call->fd);
    }
    explicit_bzero(call->token, sizeof call->token);
}

/* ---- the request ---- */

static int send_request(struct call *call, const char *method, const char *path, const char *body,
                        struct err *err) {
    struct buf text = {.wipe = true};
    const char *at;
    size_t left;

    buf_printf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, path, call->address);
    if (call->token[0] != '\0') {
        buf_printf(&text, "Authorization: Bearer %s\r\n", call->token);
    }
    if (body != NULL) {
        buf_printf(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    }
    buf_add_str(&text, "\r\n");
    buf_add_str(&text, body != NULL ? body : "");
    if (buf_failed(&text)) {
        buf_done(&text);
        return err_no_memory(err);
    }
    at = text.data;
    left = text.len;
    while (left > 0) {
        ssize_t done = send_some(call, at, left);

        if (done <= 0) {
            break;
        }
        at += done;
        left -= (size_t)done;
    }
    buf_done(&text);
    return left == 0
               ? 0
               : err_set(err, ERR_UNAVAILABLE, "the service on %s did not take the request", call->address);
}

static int receive_answer(struct call *call, struct buf *answer, struct err *err) {
    char piece[8192];
    ssize_t done;

    while ((done = receive_some(call, piece, sizeof piece)) > 0 && answer->len <= ANSWER_MAX) {
        buf_add(answer, piece, (size_t)done);
    }
    explicit_bzero(piece, sizeof piece);
    if (buf_failed(answer)) {
        return err_no_memory(err);
    }
    return done == 0 && answer->len > 0
               ? 0
               : err_set(err, ERR_UNAVAILABLE, "the service on %s broke its answer off", call->address);
}

/* Status line and headers: the body's place and announced length. False: they are not (all) there, or not
 * ours.
 */
static bool read_head(const struct buf *answer, unsigned *ret_status, uint64_t *ret_length,
                      size_t *ret_body) {
    const char *blank = strstr(answer->data, "\r\n\r\n");
    const char *length = strcasestr(answer->data, "\r\nContent-Length:");
    uint64_t status;

    if (blank == NULL || length == NULL || length > blank || strncmp(answer->data, "HTTP/1.1 ", 9) != 0 ||
        !u64_parse(answer->data + 9, 3, 999, &status)) {
        return false;
    }
    length += strlen("\r\nContent-Length:");
    length += strspn(length, " ");
    *ret_status = (unsigned)status;
    *ret_body = (size_t)(blank + 4 - answer->data);
    return u64_parse(length, strcspn(length, "\r"), INT64_MAX, ret_length);
}

static int cut_off(struct err *err) {
    return err_set(err, ERR_UNAVAILABLE, "the answer is cut off, or not that of this service");
}

/* The body's place; ERR_UNAVAILABLE when it is not whole. */
static int split_answer(const struct buf *answer, unsigned *ret_status, const char **ret_body,
                        struct err *err) {
    uint64_t wanted;
    size_t body;

    if (!read_head(answer, ret_status, &wanted, &body) || wanted != answer->len - body) {
        return cut_off(err);
    }
    *ret_body = answer->data + body;
    return 0;
}

/* The service's refusal as an error with its own words. */
static int refused(const struct call *call, unsigned status, const char *body, size_t len, struct err *err) {
    struct arena arena;
    const char *message;

    if (status == 401 && call->token[0] == '\0') {
        return err_set(err, ERR_UNAUTHORIZED,
                       "the running service wants an admin token, and there is no " DATAFILE_ADMIN_TOKEN
                       " in its data directory: name a file with one by --token-file; when there is none any "
                       "more, stop the service and run \"bgppeerd token create --role admin\"");
    }

    arena_init(&arena, 0);
    message = codec_status_message(body, len, &arena);
    err_set(err,
            status == 404   ? ERR_NOT_FOUND
            : status == 401 ? ERR_UNAUTHORIZED
            : status == 403 ? ERR_FORBIDDEN
            : status < 500  ? ERR_USAGE
                            : ERR_UNAVAILABLE,
            "the service answered %u: %s", status, message != NULL ? message : "no reason given");
    arena_done(&arena);
    return -1;
}

static int run(struct call *call, const char *method, const char *path, const char *body, struct buf *ret,
               struct err *err) {
    struct buf answer = {.wipe = true};
    const char *content = NULL;
    unsigned status = 0;
    int rc = -1;

    if (connect_to(call, err) == 0 && (call->cert_file[0] == '\0' || start_tls(call, err) == 0) &&
        send_request(call, method, path, body, err) == 0 && receive_answer(call, &answer, err) == 0 &&
        split_answer(&answer, &status, &content, err) == 0) {
        size_t len = answer.len - (size_t)(content - answer.data);

        if (status >= 200 && status < 300) {
            ret->wipe = true;
            buf_add(ret, content, len);
            rc = buf_failed(ret) ? err_no_memory(err) : 0;
        } else {
            rc = refused(call, status, content, len, err);
        }
    }
    buf_done(&answer);
    return rc;
}

int api_request(const char *data_dir, const char *token_file, const char *method, const char *path,
                const char *body, struct buf *ret, struct err *err) {
    struct call call = {.fd = -1, .timeout_seconds = TIMEOUT_SECONDS};
    int rc = -1;

    if (find_service(&call, data_dir, err) == 0 && read_token(&call, data_dir, token_file, err) == 0) {
        rc = run(&call, method, path, body, ret, err);
    }
    end(&call);
    return rc;
}

/* ---- downloads ---- */

static int write_all(int fd, const char *bytes, size_t len, struct err *err) {
    while (len > 0) {
        ssize_t done = write(fd, bytes, len);

        if (done < 0 && errno != EINTR) {
            return err_set(err, errno == ENOSPC || errno == EDQUOT ? ERR_STORAGE_FULL : ERR_UNAVAILABLE,
                           "cannot write what the service sends: %s", strerror(errno));
        }
        if (done > 0) {
            bytes += done;
            len -= (size_t)done;
        }
    }
    return 0;
}

/* Until the headers are complete; behind them may be a part of the body. */
static int receive_head(struct call *call, struct buf *answer, struct err *err) {
    char piece[8192];

    while (answer->len <= HEAD_MAX && (answer->data == NULL || strstr(answer->data, "\r\n\r\n") == NULL)) {
        ssize_t done = receive_some(call, piece, sizeof piece);

        if (done <= 0) {
            return err_set(err, ERR_UNAVAILABLE, "the service on %s broke its answer off", call->address);
        }
        buf_add(answer, piece, (size_t)done);
        if (buf_failed(answer)) {
            return err_no_memory(err);
        }
    }
    return 0;
}

static int receive_file(struct call *call, int fd, struct err *err) {
    struct buf answer = BUF_INIT;
    unsigned status = 0;
    uint64_t length = 0, got;
    size_t body = 0;
    char piece[65536];
    ssize_t done = 1;
    int rc = receive_head(call, &answer, err);

    if (rc == 0 && !read_head(&answer, &status, &length, &body)) {
        rc = cut_off(err);
    }
    if (rc == 0 && status != 200) {
        rc = receive_answer(call, &answer, err);
        rc = rc == 0 ? refused(call, status, answer.data + body, answer.len - body, err) : -1;
    }
    got = answer.len - body;
    if (rc == 0) {
        rc = write_all(fd, answer.data + body, answer.len - body, err);
    }
    while (rc == 0 && got < length && (done = receive_some(call, piece, sizeof piece)) > 0) {
        rc = write_all(fd, piece, (size_t)done, err);
        got += (uint64_t)done;
    }
    if (rc == 0 && got != length) {
        rc = cut_off(err);
    }
    buf_done(&answer);
    return rc;
}

int api_download(const char *data_dir, const char *token_file, const char *path, int fd, struct err *err) {
    struct call call = {.fd = -1, .timeout_seconds = BACKUP_SECONDS};
    int rc = -1;

    if (find_service(&call, data_dir, err) == 0 && read_token(&call, data_dir, token_file, err) == 0 &&
        connect_to(&call, err) == 0 && (call.cert_file[0] == '\0' || start_tls(&call, err) == 0) &&
        send_request(&call, "GET", path, NULL, err) == 0) {
        rc = receive_file(&call, fd, err);
    }
    end(&call);
    return rc;
}
