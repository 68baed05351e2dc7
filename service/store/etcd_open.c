/*
 * Opening an etcd store, and making one where there is none: whose keys are below the prefix is looked at
 * before anything is written.
 *
 * The data directory is this instance's own: its lock, and a name that its entries of the audit trail carry.
 * Before there are threads; from then on the store is etcd_store.h's.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/random.h"
#include "directory.h"
#include "etcd_store.h"

#define FORMAT_FIRST "bgppeerd fleet, format " /* of the key `format`, then its number and a line end */
#define FORMAT       1
#define PREFIX_MAX   128
#define CLOCK_MAX_MS 120000
#define INSTANCE     "/instance"

static void etcd_store_close(struct store *base) {
    struct etcd_store *store = (struct etcd_store *)base;
    etcd_watch_stop(store);
    etcd_link_free(store->link);
    if (store->lock_fd >= 0) {
        (void)close(store->lock_fd);
    }
    pthread_mutex_destroy(&store->backup_lock);
    pthread_mutex_destroy(&store->lock);
    free(store->prefix);
    free(store->dir);
    free(store);
}

static const struct store_ops etcd_ops = {
    .close = etcd_store_close,
    .status = etcd_store_status,
    .load = etcd_store_load,
    .commit = etcd_store_commit,
    .read_changes = etcd_store_read_changes,
    .read_entries = etcd_store_read_entries,
    .watch = etcd_store_watch,
    .compact = etcd_store_compact,
    .read_history = etcd_store_read_history,
    .read_past = etcd_store_read_past,
    .find_time = etcd_store_find_time,
    .read_audit = etcd_store_read_audit,
    .drop_audit = etcd_store_drop_audit,
    .read_transitions = etcd_store_read_transitions,
    .trim_transitions = etcd_store_trim_transitions,
    .backup = etcd_store_backup,
    .backup_open = etcd_store_backup_open,
    .check = etcd_store_check,
    .sizes = etcd_store_sizes,
};

/* ---- this instance ---- */

/* The name is made once, and is nothing to lose: without it the instance is a new one. */
static int read_instance(const char *path, char ret[ETCD_INSTANCE_MAX]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t len = fd < 0 ? -1 : read(fd, ret, ETCD_INSTANCE_MAX - 1);
    if (fd >= 0) {
        (void)close(fd);
    }
    ret[ETCD_INSTANCE_MAX - 1] = '\0';
    return len == ETCD_INSTANCE_MAX - 1 && strspn(ret, "0123456789abcdef") == ETCD_INSTANCE_MAX - 1 ? 0 : -1;
}

static int name_instance(struct etcd_store *store, const char *dir, struct err *err) {
    char *path = path_join(dir, INSTANCE, err);
    if (path == NULL) {
        return -1;
    }
    int result = 0;
    if (read_instance(path, store->instance) != 0) {
        (void)snprintf(store->instance, sizeof(store->instance), "%016" PRIx64, random_u64());
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || dprintf(fd, "%s\n", store->instance) < 0) {
            result = err_set(err, ERR_UNAVAILABLE, "cannot write %s: %s", path, strerror(errno));
        }
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    free(path);
    return result;
}

static int take_prefix(struct etcd_store *store, const char *prefix, struct err *err) {
    size_t len = strlen(prefix);
    bool plain = len > 1 && len < PREFIX_MAX && prefix[0] == '/' && prefix[len - 1] == '/';
    for (size_t i = 0; i < len; i++) {
        plain = plain && prefix[i] > ' ' && prefix[i] < 0x7f;
    }
    if (!plain) {
        return err_set(
            err, ERR_USAGE,
            "--store-prefix \"%.130s\" is no prefix of keys: write it as /bgppeerd/, with a slash at "
            "both ends and up to %d letters, digits and signs",
            prefix, PREFIX_MAX - 1);
    }
    store->prefix = base_strdup(prefix);
    return store->prefix == NULL ? err_no_memory(err) : 0;
}

/* ---- what is there ---- */

struct finding {
    bool any;    /* there are keys */
    bool format; /* … ours among them */
    unsigned long number;
    char first[64]; /* what the first one is called */
};

static int look_at_format(const json_t *kv, struct finding *ret, struct err *err) {
    size_t len;
    unsigned char *value = kv != NULL ? etcd_bytes(kv, "value", &len) : NULL;
    if (kv == NULL) {
        return 0;
    }
    if (value == NULL) {
        return err_no_memory(err);
    }
    if (strncmp((const char *)value, FORMAT_FIRST, strlen(FORMAT_FIRST)) == 0) {
        ret->number = strtoul((const char *)value + strlen(FORMAT_FIRST), NULL, 10);
        ret->format = ret->number > 0;
    }
    free(value);
    return 0;
}

/* One question: the format, and the first of all keys. */
static int look(struct etcd_store *store, struct finding *ret, struct err *err) {
    struct buf body = BUF_INIT;
    json_t *answer = NULL;
    char *end = base_strdup(store->prefix);
    if (end == NULL) {
        return err_no_memory(err);
    }
    end[strlen(end) - 1]++;
    buf_add_str(&body, "{\"success\":[");
    etcd_add_get(&body, store, "format", NULL);
    buf_add_str(&body, ",{\"requestRange\":{\"limit\":1,\"keysOnly\":true");
    etcd_add_key(&body, "key", store->prefix, "", NULL, '/', NULL);
    etcd_add_key(&body, "rangeEnd", end, "", NULL, '/', NULL);
    buf_add_str(&body, "}}]}");
    free(end);
    *ret = (struct finding){.any = false};
    int result = etcd_ask_any(store->link, "/v3/kv/txn", &body, ETCD_READ_SECONDS, &answer, err);
    buf_done(&body);
    if (result == 0 && json_array_size(json_object_get(answer, "responses")) != 2) {
        result = err_set(err, ERR_UNAVAILABLE, "what answers there is no etcd of version 3.4 or newer");
    }
    if (result == 0) {
        result = look_at_format(etcd_response_kv(answer, 0), ret, err);
    }
    const json_t *first = etcd_response_kv(answer, 1);
    if (result == 0 && first != NULL) {
        size_t len;
        unsigned char *key = etcd_bytes(first, "key", &len);
        (void)snprintf(ret->first, sizeof(ret->first), "%s", key != NULL ? (const char *)key : "");
        free(key);
        ret->any = true;
    }
    json_decref(answer);
    return result;
}

static int judge(const struct etcd_store *store, const struct finding *finding, bool must_exist,
                 struct err *err) {
    int64_t off_ms = etcd_link_clock_off(store->link);
    if (off_ms > CLOCK_MAX_MS || off_ms < -CLOCK_MAX_MS) {
        return err_set(err, ERR_UNAVAILABLE,
                       "its clock is %" PRId64 " s %s of this machine's: set them right (NTP), because the "
                       "history and the tokens of a fleet go by one time",
                       (off_ms < 0 ? -off_ms : off_ms) / 1000, off_ms > 0 ? "ahead" : "behind");
    }
    if (finding->any && !finding->format) {
        return err_set(
            err, ERR_CORRUPT,
            "what it has below %s is somebody else's (\"%s\"): choose another --store-prefix; nothing "
            "was changed",
            store->prefix, finding->first);
    }
    if (finding->format && finding->number > FORMAT) {
        return err_set(
            err, ERR_CORRUPT,
            "the fleet below %s has format %lu, and this version of bgppeerd knows up to %d: use the "
            "version that wrote it; nothing was changed",
            store->prefix, finding->number, FORMAT);
    }
    if (!finding->any && must_exist) {
        return err_set(err, ERR_NOT_FOUND,
                       "it has no fleet below %s; a new one is made when the service is started",
                       store->prefix);
    }
    return 0;
}

/* Of instances that start together one makes it: the others find it made. */
static int make_fleet(struct etcd_store *store, struct err *err) {
    struct etcd_ops ops = {.prefix = store->prefix};
    struct buf body = BUF_INIT;
    char uuid[UUID_TEXT_MAX];
    char format[128];
    const struct etcd_head head = {.author = {.writer = store->writer}};
    json_t *answer = NULL;
    uuid_new(uuid);
    int len = snprintf(format, sizeof(format), FORMAT_FIRST "%d\nuuid %s\n", FORMAT, uuid);
    etcd_ops_put_bytes(&ops, "format", NULL, format, (size_t)len);
    etcd_ops_put(&ops, "head", NULL, '/', NULL);
    etcd_head_write(&head, &ops.bytes);
    etcd_ops_end(&ops);
    buf_add_str(&body, "{\"compare\":[{\"target\":\"VERSION\",\"result\":\"EQUAL\",\"version\":\"0\"");
    etcd_add_key(&body, "key", store->prefix, "format", NULL, '/', NULL);
    buf_add_str(&body, "}],\"success\":[");
    (void)etcd_ops_write(&ops, true, &body);
    buf_add_str(&body, "]}");
    int result = etcd_ask_any(store->link, "/v3/kv/txn", &body, ETCD_READ_SECONDS, &answer, err);
    json_decref(answer);
    buf_done(&body);
    etcd_ops_done(&ops);
    return result;
}

static int open_fleet(struct etcd_store *store, bool must_exist, struct err *err) {
    struct finding finding;
    struct etcd_head head;
    struct etcd_mark mark;
    if (look(store, &finding, err) != 0 || judge(store, &finding, must_exist, err) != 0 ||
        (!finding.any && make_fleet(store, err) != 0) || (!finding.any && look(store, &finding, err) != 0) ||
        judge(store, &finding, true, err) != 0) {
        return -1;
    }
    return etcd_read_head(store, &head, &mark, NULL, err);
}

/* ---- both ---- */

static int open_all(struct etcd_store *store, const char *place, const struct store_options *options,
                    struct err *err) {
    if (options->dir == NULL) {
        return err_set(err, ERR_USAGE, "an instance over etcd needs a data directory of its own");
    }
    store->dir = path_join(options->dir, "", err);
    if (store->dir == NULL ||
        take_prefix(store, options->prefix != NULL ? options->prefix : STORE_PREFIX, err) != 0 ||
        etcd_link_new(place, options, &store->link, err) != 0 || directory_create(options->dir, err) != 0 ||
        directory_lock(options->dir, &store->lock_fd, err) != 0 ||
        name_instance(store, options->dir, err) != 0) {
        return -1;
    }
    if (open_fleet(store, options->must_exist, err) != 0) {
        return err_wrap(err, "cannot use etcd:%.300s", place);
    }
    return etcd_watch_start(store, err);
}

int etcd_store_open(const char *place, const struct store_options *options, struct store **ret,
                    struct err *err) {
    struct etcd_store *store = base_calloc(1, sizeof(*store));
    if (store == NULL || pthread_mutex_init(&store->lock, NULL) != 0) {
        free(store);
        return err_no_memory(err);
    }
    pthread_mutex_init(&store->backup_lock, NULL);
    store->base.ops = &etcd_ops;
    store->lock_fd = -1;
    store->writer = random_u64();
    if (open_all(store, place, options, err) != 0) {
        etcd_store_close(&store->base);
        return -1;
    }
    *ret = &store->base;
    return 0;
}

const struct store_driver STORE_ETCD = {.name = "etcd", .open = etcd_store_open};
