/*
 * Authentication. A bearer token is looked up in memory, unless its connection has just sent the same one; a
 * client certificate is verified when a connection's first request needs it, and again every
 * CERTIFICATE_VERIFY_MS, so that one that has expired or whose CA was taken away ends. Runs on the
 * connection's thread; keeps nothing but what the connection remembers.
 */
#include "access/authn.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "machine/connection.h"
#include "request/serving.h"

static int no_credential(const struct serving *serving, struct err *err) {
    return err_set(err, ERR_UNAUTHORIZED,
                   "this needs a credential: send a token in the header \"Authorization: Bearer bpd_…\"%s",
                   serving->tls != NULL ? " or a client certificate" : "");
}

/*
 * Where a caller is known by where it is (--no-auth) or by a certificate that its browser sends by itself,
 * any web page that is open there could act in its name. Browsers say so in Origin; nobody else sends that. A
 * page may also have its own host name point here, and then asks without Origin: but by that name.
 */
static int refuse_page(const struct request *request, struct err *err) {
    return request_header(request, HEADER_ORIGIN) == NULL
               ? 0
               : err_set(
                     err, ERR_FORBIDDEN,
                     "this request comes from a web page (it has the header Origin); pages are served only "
                     "with a token in the header \"Authorization: Bearer bpd_…\"");
}

/* An address, "localhost", or a name without a dot, which nobody outside can have. */
static bool is_local_name(const char *host) {
    size_t len = strcspn(host, ":");
    return host[0] == '[' || memchr(host, '.', len) == NULL || strspn(host, "0123456789.") >= len ||
           (len > strlen(".localhost") &&
            strncasecmp(host + len - strlen(".localhost"), ".localhost", strlen(".localhost")) == 0);
}

static int by_nothing(struct request *request, struct err *err) {
    const char *host = request_header(request, HEADER_HOST);
    if (refuse_page(request, err) != 0) {
        return -1;
    }
    if (host != NULL && !is_local_name(host)) {
        return err_set(
            err, ERR_FORBIDDEN,
            "with --no-auth the service answers to 127.0.0.1, [::1] and localhost, not to \"%.100s\": "
            "a web page could have its own name point here",
            host);
    }
    principal_anonymous(&request->principal);
    return 0;
}

static int by_token(struct request *request, const char *header, struct err *err) {
    const char *token = header + strlen("Bearer");
    size_t len;

    if (strncasecmp(header, "Bearer", strlen("Bearer")) != 0 || (*token != ' ' && *token != '\t')) {
        return err_set(
            err, ERR_UNAUTHORIZED,
            "the Authorization header has another scheme than Bearer, the only one that is understood");
    }
    token += strspn(token, " \t");
    len = strcspn(token, " \t");
    if (token[len + strspn(token + len, " \t")] != '\0') {
        return err_set(err, ERR_UNAUTHORIZED, "the Authorization header has something behind the token");
    }
    struct token_registry *registry = state_tokens(request->serving->state);
    int64_t now_ms = clock_realtime_ms();
    return request->connection != NULL
               ? token_registry_recognize(registry, &request->connection->token, token, len, now_ms,
                                          &request->principal, err)
               : token_registry_authenticate(registry, token, len, now_ms, &request->principal, err);
}

static int by_certificate(struct request *request, struct err *err) {
    switch (connection_certificate(request->connection, &request->principal, err)) {
    case CERTIFICATE_GOOD:
        return 0;
    case CERTIFICATE_BAD:
        return -1;
    default:
        return no_credential(request->serving, err);
    }
}

int authn_request(struct request *request, struct err *err) {
    if (request->serving->no_auth) {
        return by_nothing(request, err);
    }
    const char *header = request_header(request, HEADER_AUTHORIZATION);
    if (header != NULL) {
        return by_token(request, header, err);
    }
    if (!connection_may_certify(request->connection)) {
        return no_credential(request->serving, err);
    }
    return refuse_page(request, err) != 0 ? -1 : by_certificate(request, err);
}
