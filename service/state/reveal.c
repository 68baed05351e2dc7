/*
 * Revealing: a node's list with its passwords in clear, for the node itself. The one place where a plaintext
 * leaves the vault, into a buffer that the caller has wiped. Any thread; no locks of its own.
 */
#include <string.h>

#include "base/log.h"
#include "model/resources.h"
#include "state_internal.h"

#define REVEAL_TRIES 3

struct revealing {
    struct state *state;
    size_t failures; /* passwords that could not be had */
};

static int reveal_password(void *arg, const struct peering_entry *entry, struct buf *out, struct err *err) {
    struct revealing *revealing = arg;
    const struct vault_sealed sealed = secret_value_sealed(entry->secret);
    const char *slash = strchr(entry->secret_key, '/');
    char name_space[VAULT_NAME_MAX + 1];
    struct vault_place place;

    if (slash == NULL || (size_t)(slash - entry->secret_key) > VAULT_NAME_MAX) {
        revealing->failures++;
        return err_set(err, ERR_INTERNAL, "\"%s\" is not namespace/name", entry->secret_key);
    }
    memcpy(name_space, entry->secret_key, (size_t)(slash - entry->secret_key));
    name_space[slash - entry->secret_key] = '\0';
    place = (struct vault_place){.secret_namespace = name_space,
                                 .secret_name = slash + 1,
                                 .item = entry->secret->key,
                                 .version = entry->secret->version};
    if (vault_unseal(revealing->state->vault, &place, &sealed, out, err) < 0) {
        revealing->failures++;
        log_event(LOG_ERROR, "secret-unreadable", LOG_STR("secret", entry->secret_key),
                  LOG_STR("key", entry->secret->key), LOG_STR("error", err->text));
        return -1;
    }
    return 0;
}

/* From one picture. *ret_failures: sessions that are withheld because the vault failed just now. */
static int reveal_picture(struct state *state, const struct picture *picture, const struct node_list *list,
                          struct buf *out, char ret_etag[DIGEST_TEXT_MAX], size_t *ret_failures,
                          struct err *err) {
    struct revealing revealing = {.state = state};
    const struct peering_reveal reveal = {.password = reveal_password, .arg = &revealing};
    struct buf content = BUF_INIT;
    struct peering_list peerings;
    struct arena arena;
    char etag[DIGEST_TEXT_MAX];
    int rc;

    arena_init(&arena, 8192);
    rc = peering_compute(picture->index, list->node, &arena, &peerings, err);
    if (rc == 0) {
        peering_encode_content(&peerings, &content);
        digest_hex(content.data, content.len, etag);
        peering_encode(&peerings,
                       strcmp(etag, list->etag) == 0 ? list->resource_version : peerings.newest_revision,
                       &reveal, out);
        if (revealing.failures > 0) {
            /* Not the ETag of the answer with all its passwords: its node must ask again, not get a 304. */
            buf_add_str(&content, "withheld");
            digest_hex(content.data, content.len, etag);
        }
        rc = buf_failed(&content) || buf_failed(out) ? err_no_memory(err) : 0;
    }
    if (rc == 0) {
        memcpy(ret_etag, etag, sizeof etag);
        *ret_failures = revealing.failures;
    }
    buf_done(&content);
    arena_done(&arena);
    return rc;
}

int state_reveal_list(struct state *state, const char *node, struct buf *out, char ret_etag[DIGEST_TEXT_MAX],
                      struct err *err) {
    struct node_list *list;
    size_t failures = 0;
    bool outdated = true;
    int rc = 0;

    if (state_node_list(state, node, &list, err) < 0) {
        return -1;
    }
    out->wipe = true;
    /* A rotation may have sealed the values again, and dropped their old key, after the picture was taken. */
    for (int i = 0; i < REVEAL_TRIES && rc == 0 && outdated && (i == 0 || failures > 0); i++) {
        struct picture *picture = state_picture(state), *newest;

        buf_clear(out);
        rc = reveal_picture(state, picture, list, out, ret_etag, &failures, err);
        newest = state_picture(state);
        outdated = newest != picture;
        picture_unref(newest);
        picture_unref(picture);
    }
    node_list_unref(list);
    return rc;
}
