/*
 * Requests to etcd; see etcd_link.h.
 *
 * A struct client belongs to one thread, so each request borrows one from a pool, with the connections that
 * it keeps. `lock` guards the pool and the token; nothing is asked while it is held.
 */
#include "etcd_link.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/number.h"

#define ANSWER_MAX      ((size_t)512 << 20)
#define CONNECT_SECONDS 2
#define TOKEN_MAX       512
#define PASSWORD_MAX    1024
#define URL_MAX         512
#define POOL_MAX        16

struct etcd_link {
    char *place;
    char *members[ETCD_MEMBERS_MAX]; /* without a slash at the end */
    size_t member_count;
    atomic_uint member;
    _Atomic int64_t clock_off_ms;
    char *ca_file, *cert_file, *key_file;
    char *user;
    char *password; /* wiping */
    pthread_mutex_t lock;
    char token[TOKEN_MAX]; /* "": none, or no longer good */
    struct client *idle[POOL_MAX];
    size_t idle_count;
};

/* ---- addresses ---- */

static bool is_loopback(const char *host) {
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 ||
           (strncmp(host, "localhost", 9) == 0 && (host[9] == '\0' || host[9] == ':'));
}

static int add_member(struct etcd_link *link, const char *text, size_t len, struct err *err) {
    while (len > 0 && text[len - 1] == '/') {
        len--;
    }
    char *url = base_strndup(text, len);
    if (url == NULL) {
        return err_no_memory(err);
    }
    link->members[link->member_count++] = url; /* the link's from here on */
    bool plain = strncmp(url, "http://", 7) == 0;
    const char *host = plain ? url + 7 : strncmp(url, "https://", 8) == 0 ? url + 8 : "";
    if (host[0] == '\0' || len >= URL_MAX || strpbrk(host, "/?#@ \t\"\\") != NULL) {
        return err_set(err, ERR_USAGE,
                       "--store: \"%.100s\" is no address of an etcd member; write them as "
                       "etcd:https://HOST:2379,https://HOST:2379",
                       url);
    }
    if (plain && !is_loopback(host)) {
        return err_set(err, ERR_USAGE,
                       "--store: %s would carry the fleet and etcd's password readable over the network; "
                       "use https, which only this machine's own addresses can do without",
                       url);
    }
    return 0;
}

static int parse_members(struct etcd_link *link, const char *place, struct err *err) {
    while (*place != '\0') {
        size_t len = strcspn(place, ",");
        if (link->member_count == ETCD_MEMBERS_MAX) {
            return err_set(err, ERR_USAGE, "--store names more than %d members of etcd", ETCD_MEMBERS_MAX);
        }
        if (add_member(link, place, len, err) != 0) {
            return -1;
        }
        place += len + (place[len] == ',');
    }
    return 0;
}

/* ---- credentials ---- */

/* The first line of a file that only its owner can read. */
static int read_line(const char *path, char ret[PASSWORD_MAX], struct err *err) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 || fstat(fd, &status) != 0 ? -1 : read(fd, ret, PASSWORD_MAX - 1);
    int failure = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (len < 0) {
        return err_set(err, ERR_USAGE, "--store-password-file %s cannot be read: %s", path,
                       strerror(failure));
    }
    ret[len] = '\0';
    ret[strcspn(ret, "\r\n")] = '\0';
    if (!S_ISREG(status.st_mode) || (status.st_mode & 077) != 0) {
        return err_set(err, ERR_USAGE,
                       "--store-password-file %s can be read by others, or is no file: chmod 600", path);
    }
    return ret[0] == '\0' ? err_set(err, ERR_USAGE, "--store-password-file %s is empty", path) : 0;
}

static int read_password(struct etcd_link *link, const char *path, struct err *err) {
    char line[PASSWORD_MAX];
    int result = read_line(path, line, err);
    if (result == 0) {
        link->password = base_wiping_strdup(line);
        result = link->password == NULL ? err_no_memory(err) : 0;
    }
    explicit_bzero(line, sizeof(line));
    return result;
}

static int copy_text(const char *text, char **ret, struct err *err) {
    *ret = text != NULL ? base_strdup(text) : NULL;
    return text != NULL && *ret == NULL ? err_no_memory(err) : 0;
}

static int take_options(struct etcd_link *link, const struct store_options *options, struct err *err) {
    if ((options->user == NULL) != (options->password_file == NULL)) {
        return err_set(err, ERR_USAGE, "--store-user and --store-password-file go together");
    }
    if (copy_text(options->ca_file, &link->ca_file, err) != 0 ||
        copy_text(options->cert_file, &link->cert_file, err) != 0 ||
        copy_text(options->key_file, &link->key_file, err) != 0 ||
        copy_text(options->user, &link->user, err) != 0) {
        return -1;
    }
    return options->password_file != NULL ? read_password(link, options->password_file, err) : 0;
}

int etcd_link_new(const char *place, const struct store_options *options, struct etcd_link **ret,
                  struct err *err) {
    struct etcd_link *link = base_calloc(1, sizeof(*link));
    if (link == NULL || pthread_mutex_init(&link->lock, NULL) != 0) {
        free(link);
        return err_no_memory(err);
    }
    if (copy_text(place, &link->place, err) != 0 || parse_members(link, place, err) != 0 ||
        take_options(link, options, err) != 0) {
        etcd_link_free(link);
        return -1;
    }
    *ret = link;
    return 0;
}

void etcd_link_free(struct etcd_link *link) {
    if (link == NULL) {
        return;
    }
    for (size_t i = 0; i < link->idle_count; i++) {
        client_free(link->idle[i]);
    }
    for (size_t i = 0; i < link->member_count; i++) {
        free(link->members[i]);
    }
    free(link->place);
    free(link->ca_file);
    free(link->cert_file);
    free(link->key_file);
    free(link->user);
    base_wiping_free(link->password);
    explicit_bzero(link->token, sizeof(link->token));
    pthread_mutex_destroy(&link->lock);
    free(link);
}

const char *etcd_link_place(const struct etcd_link *link) {
    return link->place;
}

size_t etcd_link_members(const struct etcd_link *link) {
    return link->member_count;
}

unsigned etcd_link_member(const struct etcd_link *link) {
    return atomic_load(&link->member);
}

void etcd_link_leave(struct etcd_link *link, unsigned member) {
    atomic_compare_exchange_strong(&link->member, &member, (member + 1) % (unsigned)link->member_count);
}

int64_t etcd_link_clock_off(const struct etcd_link *link) {
    return atomic_load(&link->clock_off_ms);
}

/* ---- the pool ---- */

static int pool_take(struct etcd_link *link, struct client **ret, struct err *err) {
    pthread_mutex_lock(&link->lock);
    struct client *client = link->idle_count > 0 ? link->idle[--link->idle_count] : NULL;
    pthread_mutex_unlock(&link->lock);
    if (client != NULL) {
        *ret = client;
        return 0;
    }
    return client_new(ret, err);
}

static void pool_give(struct etcd_link *link, struct client *client) {
    pthread_mutex_lock(&link->lock);
    if (link->idle_count < POOL_MAX) {
        link->idle[link->idle_count++] = client;
        client = NULL;
    }
    pthread_mutex_unlock(&link->lock);
    client_free(client);
}

/* ---- what the answers mean ---- */

int64_t etcd_number(const json_t *object, const char *name) {
    const json_t *member = json_object_get(object, name);
    uint64_t value = 0;
    if (json_is_integer(member)) {
        return json_integer_value(member);
    }
    return json_is_string(member) &&
                   u64_parse(json_string_value(member), json_string_length(member), INT64_MAX, &value)
               ? (int64_t)value
               : 0;
}

int64_t etcd_revision(const json_t *answer) {
    return etcd_number(json_object_get(answer, "header"), "revision");
}

/* What etcd says is wrong. All but what is in this table is unknown: a request that timed out, or whose
 * member lost its leader, may be done later. */
static const struct {
    unsigned status; /* 0: any */
    const char *text;
    enum etcd_fate fate;
    enum err_code code;
    const char *advice;
} FAULTS[] = {
    {429, "space exceeded", ETCD_REFUSED, ERR_STORAGE_FULL,
     "etcd's database has reached its quota: compact and defragment it, raise --quota-backend-bytes, then "
     "\"etcdctl alarm disarm\""},
    {429, "larger than max", ETCD_REFUSED, ERR_TOO_LARGE,
     "it is larger than etcd takes: raise its --max-request-bytes, or write less at once"},
    {400, "request is too large", ETCD_REFUSED, ERR_TOO_LARGE,
     "it is larger than etcd takes: raise its --max-request-bytes, or write less at once"},
    {400, "too many operations", ETCD_REFUSED, ERR_TOO_LARGE,
     "it is more than etcd takes at once: raise its --max-txn-ops, or write less at once"},
    {400, "has been compacted", ETCD_REFUSED, ERR_EXPIRED,
     "etcd no longer has the state that was being read"},
    {400, "user name is empty", ETCD_REFUSED, ERR_UNAVAILABLE,
     "it wants a user: give --store-user and --store-password-file"},
    {400, "authentication failed", ETCD_REFUSED, ERR_UNAVAILABLE,
     "it does not accept the user and password of --store-user and --store-password-file"},
    {400, "authentication is not enabled", ETCD_REFUSED, ERR_UNAVAILABLE,
     "its authentication is not enabled: do without --store-user, or enable it"},
    {403, "", ETCD_REFUSED, ERR_UNAVAILABLE,
     "the user of --store-user may not read and write what is below --store-prefix: grant that to its role"},
    {401, "", ETCD_REFUSED, ERR_UNAVAILABLE, "it does not accept the credentials of --store-user"},
    {404, "", ETCD_REFUSED, ERR_UNAVAILABLE,
     "it has no JSON gateway of version 3: use etcd 3.4 or newer, with --enable-grpc-gateway"},
    {429, "too many requests", ETCD_UNSENT, ERR_UNAVAILABLE, "it has too much to do"},
    {503, "no leader", ETCD_UNSENT, ERR_UNAVAILABLE, "its cluster has no leader"},
    {400, "", ETCD_REFUSED, ERR_INTERNAL, "it does not understand the request"},
};

static enum etcd_fate fault_of(const char *url, unsigned status, const char *text, struct err *err) {
    for (size_t i = 0; i < sizeof(FAULTS) / sizeof(FAULTS[0]); i++) {
        if (FAULTS[i].status == status && strstr(text, FAULTS[i].text) != NULL) {
            err_set(err, FAULTS[i].code, "etcd at %s says \"%.200s\": %s", url, text, FAULTS[i].advice);
            return FAULTS[i].fate;
        }
    }
    err_set(err, ERR_UNAVAILABLE, "etcd at %s answers %u, \"%.200s\"", url, status, text);
    return ETCD_UNKNOWN;
}

/* Seconds are what an HTTP date has: between 0 and 1 s are cut off. */
static int64_t clock_off(const struct client_answer *answer) {
    char date[64];
    struct tm tm = {.tm_sec = 0};
    if (!client_header(answer, "Date", date, sizeof(date)) ||
        strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL) {
        return 0;
    }
    return (int64_t)timegm(&tm) * 1000 + 500 - clock_realtime_ms();
}

/* An answer that came as a whole. */
static int judge(struct etcd_link *link, const char *url, const struct client_answer *got, json_t **ret,
                 enum etcd_fate *ret_fate, struct err *err) {
    json_error_t error;
    json_t *json = json_loadb(got->body.data != NULL ? got->body.data : "", got->body.len, 0, &error);
    if (got->status == 200 && json_is_object(json) && json_object_get(json, "error") == NULL) {
        atomic_store(&link->clock_off_ms, clock_off(got));
        *ret = json;
        return 0;
    }
    const char *text = json_string_value(json_object_get(json, "error"));
    *ret_fate = fault_of(url, got->status == 200 ? 500 : got->status, text != NULL ? text : "", err);
    json_decref(json);
    return -1;
}

/* ---- one request ---- */

/* The headers of a request, in `lines`: the token's last. */
#define HEADERS_MAX 5
static void list_headers(struct etcd_link *link, unsigned seconds, char timeout[32],
                         char authorization[TOKEN_MAX + 16], const char *ret[HEADERS_MAX]) {
    size_t count = 0;
    ret[count++] = "Content-Type: application/json";
    ret[count++] = "Grpc-Metadata-hasleader: true"; /* fail where there is none, instead of waiting */
    if (seconds > 0) {
        snprintf(timeout, 32, "Grpc-Timeout: %uS", seconds);
        ret[count++] = timeout;
    }
    pthread_mutex_lock(&link->lock);
    if (link->token[0] != '\0') {
        snprintf(authorization, TOKEN_MAX + 16, "Authorization: %s", link->token);
        ret[count++] = authorization;
    }
    pthread_mutex_unlock(&link->lock);
    ret[count] = NULL;
}

static int start_call(struct etcd_link *link, struct client *client, const char *url, const struct buf *body,
                      unsigned seconds, void (*part)(void *arg, const char *bytes, size_t len), void *arg,
                      struct client_call **ret, struct err *err) {
    char timeout[32];
    char authorization[TOKEN_MAX + 16];
    const char *headers[HEADERS_MAX];
    list_headers(link, seconds, timeout, authorization, headers);
    const struct client_request request = {.method = "POST",
                                           .url = url,
                                           .headers = headers,
                                           .body = body->data,
                                           .body_len = body->len,
                                           .ca_file = link->ca_file,
                                           .cert_file = link->cert_file,
                                           .key_file = link->key_file,
                                           .connect_seconds = CONNECT_SECONDS,
                                           .total_seconds = seconds > 0 ? seconds + 1 : 0,
                                           .answer_max = ANSWER_MAX,
                                           .file = -1,
                                           .part = part,
                                           .arg = arg};
    int result = buf_failed(body) ? err_no_memory(err) : client_start(client, &request, ret, err);
    explicit_bzero(authorization, sizeof(authorization));
    return result;
}

static int ask_once(struct etcd_link *link, unsigned member, const char *path, const struct buf *body,
                    unsigned seconds, json_t **ret, enum etcd_fate *ret_fate, struct err *err) {
    char url[URL_MAX + 64];
    struct client *client;
    struct client_call *call = NULL;
    struct client_answer *got;
    *ret_fate = ETCD_UNSENT;
    snprintf(url, sizeof(url), "%s%s", link->members[member], path);
    if (pool_take(link, &client, err) != 0) {
        return -1;
    }
    int result = start_call(link, client, url, body, seconds, NULL, NULL, &call, err);
    while (result == 0 && !client_finished(call)) {
        client_turn(client, NULL, 0, 1000);
    }
    if (result == 0 && client_result(call, &got, err) != 0) {
        *ret_fate = client_unsent(call) ? ETCD_UNSENT : ETCD_UNKNOWN;
        result = -1;
    } else if (result == 0) {
        result = judge(link, link->members[member], got, ret, ret_fate, err);
    }
    client_end(call);
    pool_give(link, client);
    return result;
}

/* ---- the token ---- */

void etcd_link_forget_token(struct etcd_link *link) {
    pthread_mutex_lock(&link->lock);
    link->token[0] = '\0';
    pthread_mutex_unlock(&link->lock);
}

static bool lacks_token(struct etcd_link *link) {
    pthread_mutex_lock(&link->lock);
    bool lacks = link->user != NULL && link->token[0] == '\0';
    pthread_mutex_unlock(&link->lock);
    return lacks;
}

static int authenticate(struct etcd_link *link, unsigned member, unsigned seconds, enum etcd_fate *ret_fate,
                        struct err *err) {
    struct buf body = {.wipe = true};
    json_t *answer = NULL;
    buf_add_char(&body, '{');
    buf_json_member_str(&body, "name", link->user);
    buf_json_member_str(&body, "password", link->password);
    buf_add_char(&body, '}');
    int result = ask_once(link, member, "/v3/auth/authenticate", &body, seconds, &answer, ret_fate, err);
    buf_done(&body);
    if (result != 0) {
        /* Whatever became of that, the request itself was not sent. */
        *ret_fate = *ret_fate == ETCD_UNKNOWN ? ETCD_UNSENT : *ret_fate;
        return -1;
    }
    const char *token = json_string_value(json_object_get(answer, "token"));
    if (token == NULL || strlen(token) >= TOKEN_MAX || strpbrk(token, "\r\n") != NULL) {
        *ret_fate = ETCD_REFUSED;
        result = err_set(err, ERR_UNAVAILABLE, "etcd at %s gives no token that could be used",
                         link->members[member]);
    } else {
        pthread_mutex_lock(&link->lock);
        memcpy(link->token, token, strlen(token) + 1);
        pthread_mutex_unlock(&link->lock);
    }
    json_decref(answer);
    return result;
}

/* Tokens end: with time, or when the member is started again. */
static bool wants_other_token(const struct etcd_link *link, const struct err *err) {
    return link->user != NULL && (strstr(err->text, "invalid auth token") != NULL ||
                                  strstr(err->text, "revision of auth store is old") != NULL);
}

int etcd_ask(struct etcd_link *link, unsigned member, const char *path, const struct buf *body,
             unsigned seconds, json_t **ret, enum etcd_fate *ret_fate, struct err *err) {
    if (lacks_token(link) && authenticate(link, member, seconds, ret_fate, err) != 0) {
        return -1;
    }
    int result = ask_once(link, member, path, body, seconds, ret, ret_fate, err);
    if (result != 0 && *ret_fate == ETCD_REFUSED && wants_other_token(link, err)) {
        etcd_link_forget_token(link);
        err_clear(err);
        result = authenticate(link, member, seconds, ret_fate, err);
        if (result == 0) {
            result = ask_once(link, member, path, body, seconds, ret, ret_fate, err);
        }
    }
    return result;
}

int etcd_ask_any(struct etcd_link *link, const char *path, const struct buf *body, unsigned seconds,
                 json_t **ret, struct err *err) {
    enum etcd_fate fate;
    for (size_t i = 0;; i++) {
        unsigned member = etcd_link_member(link);
        if (etcd_ask(link, member, path, body, seconds, ret, &fate, err) == 0) {
            return 0;
        }
        if (fate == ETCD_REFUSED ||
            i >= link->member_count) { /* one of them twice: its leader may have gone */
            return -1;
        }
        err_clear(err);
        etcd_link_leave(link, member);
    }
}

int etcd_begin(struct etcd_link *link, struct client *client, unsigned member, const char *path,
               const struct buf *body, void (*part)(void *arg, const char *bytes, size_t len), void *arg,
               struct client_call **ret, struct err *err) {
    char url[URL_MAX + 64];
    enum etcd_fate fate;
    snprintf(url, sizeof(url), "%s%s", link->members[member], path);
    if (lacks_token(link) && authenticate(link, member, CONNECT_SECONDS, &fate, err) != 0) {
        return -1;
    }
    return start_call(link, client, url, body, 0, part, arg, ret, err);
}
