/*
 * Reading ranges of etcd's keys, page by page, all of one moment. No locks but that of the head.
 *
 * A page is asked for by a number of keys, and etcd has no other bound: so pages grow and shrink with the
 * bytes that the last one had.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "etcd_store.h"

#define PAGE_MIN        8
#define PAGE_FIRST      64
#define PAGE_MAX        4096
#define PAGE_BYTES_LESS ((size_t)1 << 20)
#define PAGE_BYTES_MORE ((size_t)4 << 20)

unsigned char *etcd_bytes(const json_t *kv, const char *name, size_t *ret_len) {
    const json_t *text = json_object_get(kv, name);
    size_t bad;
    const char *base64 = text != NULL ? json_string_value(text) : "";
    size_t len = text != NULL ? json_string_length(text) : 0;
    unsigned char *bytes = base64 != NULL ? base_malloc(base64_decoded_max(len) + 1) : NULL;
    if (bytes == NULL || !base64_decode(base64, len, bytes, ret_len, &bad)) {
        free(bytes);
        return NULL;
    }
    bytes[*ret_len] = '\0';
    return bytes;
}

const json_t *etcd_response_kv(const json_t *answer, size_t index) {
    const json_t *response = json_array_get(json_object_get(answer, "responses"), index);
    const json_t *range = json_object_get(response, "response_range");
    return json_array_get(json_object_get(range, "kvs"), 0);
}

/* ---- ranges ---- */

struct page {
    struct etcd_store *store;
    const struct etcd_range *range;
    size_t skip;     /* length of prefix and room */
    struct buf from; /* whole keys: the first, or the first that is not wanted */
    struct buf to;
    int64_t at;
    size_t limit; /* of this page */
    size_t left;  /* that are wanted at all */
    bool more;
};

static void add_bound(struct buf *out, const char *name, const struct buf *key) {
    buf_json_key(out, name);
    buf_add_char(out, '"');
    buf_add_base64(out, key->data, key->len);
    buf_add_char(out, '"');
}

static void write_request(const struct page *page, struct buf *out) {
    buf_add_char(out, '{');
    add_bound(out, "key", &page->from);
    add_bound(out, "rangeEnd", &page->to);
    buf_json_member_u64(out, "limit", page->limit);
    if (page->at > 0) {
        buf_json_member_u64(out, "revision", (uint64_t)page->at);
    }
    if (page->range->descending) {
        buf_json_member_str(out, "sortOrder", "DESCEND");
        buf_json_member_str(out, "sortTarget", "KEY");
    }
    buf_add_char(out, '}');
}

/* The next page begins behind this key, or ends before it. */
static void move_on(struct page *page, const unsigned char *key, size_t len) {
    struct buf *bound = page->range->descending ? &page->to : &page->from;
    buf_clear(bound);
    buf_add(bound, key, len);
    if (!page->range->descending) {
        buf_add_char(bound, '\0');
    }
}

static int pass_kv(struct page *page, const json_t *kv,
                   int (*row)(void *arg, const struct etcd_kv *kv, struct err *err), void *arg,
                   size_t *bytes_read, struct err *err) {
    size_t key_len = 0, value_len = 0;
    unsigned char *key = etcd_bytes(kv, "key", &key_len);
    unsigned char *value = etcd_bytes(kv, "value", &value_len);
    int result = -1;
    if (key == NULL || value == NULL) {
        (void)err_no_memory(err);
    } else if (key_len < page->skip) {
        (void)err_set(err, ERR_UNAVAILABLE, "etcd answers with other keys than it was asked for");
    } else {
        const struct etcd_kv pass = {.key = (const char *)key + page->skip,
                                     .key_len = key_len - page->skip,
                                     .value = value,
                                     .value_len = value_len,
                                     .mod = etcd_number(kv, "mod_revision")};
        result = row(arg, &pass, err);
        move_on(page, key, key_len);
        *bytes_read += key_len + value_len;
    }
    free(key);
    free(value);
    return result;
}

static int read_page(struct page *page, int (*row)(void *arg, const struct etcd_kv *kv, struct err *err),
                     void *arg, struct err *err) {
    struct buf body = BUF_INIT;
    json_t *answer = NULL;
    size_t bytes = 0;
    if (page->left > 0 && page->limit > page->left) {
        page->limit = page->left;
    }
    write_request(page, &body);
    int result = etcd_ask_any(page->store->link, "/v3/kv/range", &body, ETCD_READ_SECONDS, &answer, err);
    buf_done(&body);
    if (result != 0) {
        return -1;
    }
    const json_t *kvs = json_object_get(answer, "kvs");
    size_t count = json_array_size(kvs);
    page->at = page->at > 0 ? page->at : etcd_revision(answer);
    for (size_t i = 0; result == 0 && i < count; i++) {
        result = pass_kv(page, json_array_get(kvs, i), row, arg, &bytes, err);
    }
    page->more = result == 0 && json_is_true(json_object_get(answer, "more")) &&
                 (page->left == 0 || page->left > count);
    page->left -= page->left > 0 ? count : 0;
    json_decref(answer);
    if (bytes < PAGE_BYTES_LESS && page->limit < PAGE_MAX) {
        page->limit *= 2;
    } else if (bytes > PAGE_BYTES_MORE && page->limit > PAGE_MIN) {
        page->limit /= 2;
    }
    return result < 0 ? -1 : 0;
}

int etcd_range_each(struct etcd_store *store, const struct etcd_range *range,
                    int (*row)(void *arg, const struct etcd_kv *kv, struct err *err), void *arg,
                    struct err *err) {
    struct page page = {.store = store,
                        .range = range,
                        .skip = strlen(store->prefix) + strlen(range->room),
                        .at = range->at,
                        .limit = PAGE_FIRST,
                        .left = range->limit,
                        .more = true};
    int result = 0;
    buf_add_str(&page.from, store->prefix);
    buf_add_str(&page.from, range->room);
    buf_add_str(&page.to, store->prefix);
    buf_add_str(&page.to, range->room);
    if (range->from != NULL) {
        buf_add_str(&page.from, range->from);
    }
    if (range->to != NULL) {
        buf_add_str(&page.to, range->to);
    } else if (page.to.len > 0) {
        page.to.data[page.to.len - 1]++; /* behind all that begins so */
    }
    while (result == 0 && page.more) {
        result = buf_failed(&page.from) || buf_failed(&page.to) ? err_no_memory(err)
                                                                : read_page(&page, row, arg, err);
    }
    buf_done(&page.from);
    buf_done(&page.to);
    return result;
}

/* ---- the head ---- */

void etcd_note_head(struct etcd_store *store, const struct etcd_head *head) {
    pthread_mutex_lock(&store->lock);
    if (head->mod > store->head.mod) {
        store->head = *head;
    }
    pthread_mutex_unlock(&store->lock);
}

int etcd_parse_head(const struct etcd_store *store, const json_t *kv, struct etcd_head *ret,
                    struct err *err) {
    struct etcd_head head = {.mod = etcd_number(kv, "mod_revision")};
    size_t len;
    if (kv == NULL) {
        return err_set(err, ERR_CORRUPT,
                       "etcd no longer has the fleet below %s: somebody has deleted it; restore a backup of "
                       "etcd",
                       store->prefix);
    }
    unsigned char *value = etcd_bytes(kv, "value", &len);
    int result = value == NULL ? err_no_memory(err) : etcd_head_read(value, len, &head, err);
    free(value);
    if (result == 0) {
        *ret = head;
    }
    return result;
}

static int parse_mark(const json_t *kv, struct etcd_mark *ret, struct err *err) {
    struct etcd_mark mark = {.mod = etcd_number(kv, "mod_revision")};
    size_t len;
    unsigned char *value = kv != NULL ? etcd_bytes(kv, "value", &len) : NULL;
    int result = kv == NULL ? 0 : value == NULL ? err_no_memory(err) : etcd_mark_read(value, len, &mark, err);
    free(value);
    if (result == 0) {
        *ret = mark;
    }
    return result;
}

int etcd_read_head(struct etcd_store *store, struct etcd_head *ret, struct etcd_mark *ret_mark,
                   int64_t *ret_now, struct err *err) {
    struct etcd_head head;
    struct buf body = BUF_INIT;
    json_t *answer = NULL;
    buf_add_str(&body, "{\"success\":[");
    etcd_add_get(&body, store, "head", NULL);
    etcd_add_get(&body, store, "compacted", NULL);
    buf_add_str(&body, "]}");
    int result = etcd_ask_any(store->link, "/v3/kv/txn", &body, ETCD_READ_SECONDS, &answer, err);
    buf_done(&body);
    if (result == 0) {
        result = json_array_size(json_object_get(answer, "responses")) != 2
                     ? err_set(err, ERR_UNAVAILABLE, "etcd leaves half of a question unanswered")
                     : etcd_parse_head(store, etcd_response_kv(answer, 0), &head, err);
    }
    if (result == 0) {
        result = parse_mark(etcd_response_kv(answer, 1), ret_mark, err);
    }
    if (result == 0) {
        *ret = head;
        if (ret_now != NULL) {
            *ret_now = etcd_revision(answer);
        }
        etcd_note_head(store, &head);
    }
    json_decref(answer);
    return result;
}
