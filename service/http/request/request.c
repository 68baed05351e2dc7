/*
 * Request: the context of one request, its path, query and body.
 *
 * Created when the request line has been read and freed when the answer has been sent, both on the
 * connection's thread; everything it needs in between lives in its one arena.
 */
#include "request/request.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "request/percent.h"
#include "request/serving.h"

#define OWN_NODE_BODY_MAX (64 * 1024)                /* a Node is short, and there are many nodes */
#define IMPORT_BODY_MAX   ((size_t)16 * 1024 * 1024) /* all that another system exports, at once */

/* ---- identity ---- */

/* A fresh 64-bit number per call without a system call: splitmix64 from a random start per thread. */
static uint64_t next_id(void) {
    static _Thread_local uint64_t state;
    if (state == 0) {
        state = random_u64() | 1;
    }
    state += 0x9e3779b97f4a7c15u;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void make_id(char out[REQUEST_ID_MAX]) {
    static const char DIGITS[] = "0123456789abcdef";
    uint64_t id = next_id();
    for (int i = 15; i >= 0; i--) {
        out[i] = DIGITS[id & 15];
        id >>= 4;
    }
    out[16] = '\0';
}

/* A caller's own id is kept when it cannot do harm in a header or a log line. */
static bool take_id(char out[REQUEST_ID_MAX], const char *id) {
    size_t len = 0;
    for (; id[len] != '\0'; len++) {
        char c = id[len];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                     c == '_' || c == '.';
        if (!plain || len == REQUEST_ID_MAX - 1) {
            return false;
        }
    }
    if (len == 0) {
        return false;
    }
    memcpy(out, id, len + 1);
    return true;
}

static unsigned own_shard(struct serving *serving) {
    static _Thread_local unsigned shard = UINT32_MAX;
    if (shard == UINT32_MAX) {
        shard = atomic_fetch_add(&serving->next_shard, 1) % SERVING_SHARDS;
    }
    return shard;
}

/* ---- life ---- */

struct request *request_new(struct serving *serving, struct MHD_Connection *mhd,
                            struct connection *connection, const char *uri) {
    struct request *request = base_malloc(sizeof(*request));
    if (request == NULL) {
        return NULL;
    }
    /* All but the two text buffers, which are most of it. */
    memset(request, 0, offsetof(struct request, id));
    request->serving = serving;
    request->mhd = mhd;
    request->connection = connection;
    request->method = METHOD_OTHER;
    request->start_ns = clock_monotonic_ns();
    arena_init(&request->arena, REQUEST_ARENA_FIRST);
    buf_init(&request->body);
    request->body.wipe = true; /* whatever its path: a Secret may have been sent there */
    if (uri == NULL) {
        uri = "";
    }
    request->uri_len = strlen(uri);
    if (request->uri_len < REQUEST_URI_KEEP) {
        memcpy(request->uri_kept, uri, request->uri_len + 1);
        request->uri = request->uri_kept;
    } else {
        request->uri = arena_strndup(&request->arena, uri, request->uri_len);
        if (request->uri == NULL) {
            arena_done(&request->arena);
            free(request);
            return NULL;
        }
    }
    request->id[0] = '\0';
    request->principal.role = ROLE_NONE;
    request->principal.user[0] = '\0';
    request->shard = own_shard(serving);
    /* Before `closed` is looked at (dispatch.c), as whoever closes looks at this one afterwards (server.c).
     */
    atomic_fetch_add_explicit(&serving->shards[request->shard].active, 1, memory_order_seq_cst);
    return request;
}

void request_free(struct request *request) {
    if (request == NULL) {
        return;
    }
    if (request->cleanup != NULL) {
        request->cleanup(request);
    }
    atomic_fetch_sub_explicit(&request->serving->shards[request->shard].active, 1, memory_order_release);
    buf_done(&request->body);
    arena_done(&request->arena);
    free(request);
}

/* ---- path ---- */

/* Path of the request target: origin form as it is; of an absolute form ("http://host/path", which
 * proxies send) what follows the authority. */
static const char *find_path(const struct request *request, size_t *ret_len) {
    const char *path = request->uri;
    if (path[0] != '/') {
        const char *authority = strstr(path, "://");
        const char *query = strchr(path, '?');
        if (authority != NULL && (query == NULL || authority < query)) {
            path = authority + 3 + strcspn(authority + 3, "/?");
        }
    }
    *ret_len = strcspn(path, "?");
    return path;
}

/* Copies a piece that needs no decoding; false: it may. */
static bool copy_plain(const struct router_piece *piece, char out[REQUEST_PARAM_KEEP]) {
    if (piece->len >= REQUEST_PARAM_KEEP) {
        return false;
    }
    for (size_t i = 0; i < piece->len; i++) {
        char c = piece->text[i];
        if (c == '%' || c <= ' ' || c > '~') {
            return false;
        }
        out[i] = c;
    }
    out[piece->len] = '\0';
    return true;
}

static int decode_params(struct request *request, const struct router_piece *pieces, size_t count,
                         struct err *err) {
    request->param_count = count;
    if (count == 1 && copy_plain(&pieces[0], request->param_kept)) {
        request->params[0] = request->param_kept;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (percent_decode(&request->arena, pieces[i].text, pieces[i].len, "path", &request->params[i],
                           err) != 0) {
            request->param_count = 0;
            return -1;
        }
        if (strchr(request->params[i], '/') != NULL) {
            request->param_count = 0;
            return err_set(err, ERR_BAD_REQUEST,
                           "the path has an encoded \"/\" inside a name; no name has one");
        }
    }
    return 0;
}

/* Calico's resources as Kubernetes keeps them, or in another version. */
static bool names_other_version(const char *path, size_t len) {
    static const char *const OTHERS[] = {"/apis/crd.projectcalico.org/", "/apis/projectcalico.org/v1/",
                                         "/api/projectcalico.org/", "/projectcalico.org/"};
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
        if (len >= strlen(OTHERS[i]) && memcmp(path, OTHERS[i], strlen(OTHERS[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Is a part of the path one of the kind's names? People write them in the singular, too, or with capitals. */
static bool names_kind(const char *path, size_t len, const struct kind_info *kind) {
    const char *const names[] = {kind->plural, kind->singular, kind->short_name};
    for (size_t at = 0; at < len;) {
        size_t part = 0;
        while (at + part < len && path[at + part] != '/') {
            part++;
        }
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            if (names[i] != NULL && strlen(names[i]) == part && strncasecmp(path + at, names[i], part) == 0) {
                return true;
            }
        }
        at += part + 1;
    }
    return false;
}

/* Where to look instead; in the request's arena or static. */
static const char *path_hint(struct request *request, const char *path, size_t len) {
    static const char GROUP[] = "/apis/projectcalico.org/v3/";
    for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
        const struct kind_info *info = kind_info(kind);
        if (names_kind(path, len, info)) {
            const char *hint = arena_printf(
                &request->arena,
                info->namespaced ? "; %s are at /api/%s/namespaces/NAMESPACE/%s" : "; %s are at /apis/%s/%s",
                info->plural, info->namespaced ? info->version : info->api_version, info->plural);
            return hint == NULL ? "" : hint;
        }
    }
    if (names_other_version(path, len)) {
        return "; BGP resources of Calico are under /apis/projectcalico.org/v3";
    }
    return len > strlen(GROUP) && memcmp(path, GROUP, strlen(GROUP)) == 0
               ? "; of Calico's resources, bgppeers, bgpconfigurations, bgpfilters and nodes are served here"
               : "; GET / lists all paths";
}

/* A path that names nothing may still be malformed, and 400 says more than 404. */
static int no_such_path(struct request *request, const char *path, size_t len, struct err *err) {
    const char *decoded;
    if (percent_decode(&request->arena, path, len, "path", &decoded, err) != 0) {
        return -1;
    }
    return err_set(err, ERR_NOT_FOUND,
                   "the server could not find the requested resource: there is no path %.*s%s%s",
                   (int)(len > 200 ? 200 : len), path, len > 200 ? "…" : "", path_hint(request, path, len));
}

/* People who know Kubernetes begin by making one. */
static bool is_of_namespaces(const struct router_node *node) {
    const struct route *get = router_route(node, METHOD_GET);
    return get != NULL && get->resource != NULL && strcmp(get->resource, "namespaces") == 0;
}

int request_route(struct request *request, const char *method, struct err *err) {
    request->method = method_parse(method);
    const char *given_id = request_header(request, HEADER_REQUEST_ID);
    if (given_id == NULL || !take_id(request->id, given_id)) {
        make_id(request->id);
    }
    size_t len;
    const char *path = find_path(request, &len);
    struct router_piece pieces[ROUTE_PARAMS_MAX];
    size_t count = 0;
    const struct router_node *node = router_find(&request->serving->router, path, len, pieces, &count);
    if (node == NULL) {
        return no_such_path(request, path, len, err);
    }
    if (decode_params(request, pieces, count, err) != 0) {
        return -1;
    }
    request->route = router_route(node, request->method);
    if (request->route == NULL) {
        char allow[ROUTER_ALLOW_MAX];
        router_allow(node, allow);
        request->allow = arena_strdup(&request->arena, allow);
        return err_set(err, ERR_METHOD_NOT_ALLOWED,
                       "the method %.20s is not allowed on this path; allowed: %s%s", method, allow,
                       is_of_namespaces(node)
                           ? ". A namespace is there while it has Secrets: nobody makes or "
                             "deletes one"
                           : "");
    }
    if (len > 1 && path[len - 1] == '/' && strcmp(request->route->verb, "deletecollection") == 0) {
        return err_set(
            err, ERR_NOT_FOUND,
            "the path ends in \"/\", and the name behind it is missing; to delete everything that is "
            "listed there, leave the \"/\" out");
    }
    /* Passwords come in Secrets, and in the documents of several kinds. */
    request->arena.wipe = request->route->kind == KIND_SECRET || (request->route->kind == ROUTE_KIND_NONE &&
                                                                  (request->route->flags & ROUTE_BODY) != 0);
    return 0;
}

/* ---- query ---- */

static int add_query_item(struct request *request, const char *text, size_t len, struct err *err) {
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
    struct query_item *item = &request->query[request->query_count];
    if (percent_decode(&request->arena, text, name_len, "query", &item->text, err) != 0) {
        return -1;
    }
    item->name = query_find(item->text);
    item->value = "";
    if (equals != NULL &&
        percent_decode(&request->arena, equals + 1, len - name_len - 1, "query", &item->value, err) != 0) {
        return -1;
    }
    request->query_count++;
    return 0;
}

int request_parse_query(struct request *request, struct err *err) {
    const char *mark = memchr(request->uri, '?', request->uri_len);
    if (mark == NULL || request->query != NULL) {
        return 0;
    }
    /* "+" means a space in a query, as forms and Go's url.Values write it. */
    char *text = arena_strdup(&request->arena, mark + 1);
    size_t room = 1;
    for (const char *at = mark; (at = strchr(at, '&')) != NULL && room < QUERY_MAX; at++) {
        room++;
    }
    request->query = arena_array(&request->arena, room, sizeof(*request->query));
    if (text == NULL || request->query == NULL) {
        return err_no_memory(err);
    }
    for (char *plus = strchr(text, '+'); plus != NULL; plus = strchr(plus, '+')) {
        *plus = ' ';
    }
    for (const char *at = text; *at != '\0';) {
        size_t len = strcspn(at, "&");
        if (len > 0) {
            if (request->query_count == QUERY_MAX) {
                return err_set(err, ERR_BAD_REQUEST, "the query has more than %d parameters", QUERY_MAX);
            }
            if (add_query_item(request, at, len, err) != 0) {
                return -1;
            }
        }
        at += len + (at[len] == '&');
    }
    return 0;
}

const char *request_query(const struct request *request, enum query_name name) {
    for (size_t i = 0; i < request->query_count; i++) {
        if (request->query[i].name == name) {
            return request->query[i].value;
        }
    }
    return NULL;
}

bool request_query_flag(const struct request *request, enum query_name name) {
    const char *value = request_query(request, name);
    return value != NULL && value[0] != '\0' && strcmp(value, "0") != 0 && strcasecmp(value, "false") != 0;
}

/* ---- body, warnings ---- */

bool request_is_own_node(const struct request *request) {
    return request->allowed == AUTH_ALLOWED_ADDRESSES;
}

size_t request_body_max(const struct request *request) {
    size_t max = request->serving->body_bytes_max;
    if (request->route != NULL && (request->route->flags & ROUTE_IMPORT) != 0 && max < IMPORT_BODY_MAX) {
        return IMPORT_BODY_MAX;
    }
    return request_is_own_node(request) && max > OWN_NODE_BODY_MAX ? OWN_NODE_BODY_MAX : max;
}

int request_take_body(struct request *request, const char *bytes, size_t len, struct err *err) {
    size_t max = request_body_max(request);
    if (len > max || request->body.len > max - len) {
        buf_done(&request->body);
        return err_set(err, ERR_TOO_LARGE, "the body is larger than %zu bytes, the most this service takes",
                       max);
    }
    buf_add(&request->body, bytes, len);
    if (buf_failed(&request->body)) {
        return err_no_memory(err);
    }
    return 0;
}

struct advice *request_advice(struct request *request) {
    if (request->advice == NULL) {
        request->advice = arena_alloc(&request->arena, sizeof(*request->advice));
        if (request->advice != NULL) {
            advice_init(request->advice, &request->arena);
        }
    }
    return request->advice;
}

/* ---- suspending ---- */

void request_suspend(struct request *request, int (*resume)(struct request *, struct err *)) {
    if (resume != NULL) {
        request->resume = resume;
        request->phase = REQUEST_SUSPENDED;
    }
    atomic_fetch_add(&request->serving->suspended, 1);
    MHD_suspend_connection(request->mhd);
}

void request_resume(struct request *request) {
    /* The request may be answered and freed before MHD_resume_connection has returned. */
    struct serving *serving = request->serving;
    MHD_resume_connection(request->mhd);
    atomic_fetch_sub(&serving->suspended, 1);
}

/* ---- how many ---- */

unsigned serving_active(const struct serving *serving) {
    unsigned sum = 0;
    for (size_t i = 0; i < SERVING_SHARDS; i++) {
        sum += atomic_load_explicit(&serving->shards[i].active, memory_order_seq_cst);
    }
    return sum;
}
