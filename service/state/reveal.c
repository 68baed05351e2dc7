/*
 * Revealing: a node's list with its passwords in clear, for the node itself. The one place where a plaintext
 * leaves the vault, into a buffer that the caller has wiped. Any thread; no locks of its own.
 */
#include <string.h>

#include "base/log.h"
#include "model/resources.h"
#include "state_internal.h"

static int reveal_password(void *arg, const struct peering_entry *entry, struct buf *out, struct err *err) {
    const struct state *state = arg;
    const struct vault_sealed sealed = secret_value_sealed(entry->secret);
    const char *slash = strchr(entry->secret_key, '/');
    char name_space[VAULT_NAME_MAX + 1];
    struct vault_place place;

    if (slash == NULL || (size_t)(slash - entry->secret_key) > VAULT_NAME_MAX) {
        return err_set(err, ERR_INTERNAL, "\"%s\" is not namespace/name", entry->secret_key);
    }
    memcpy(name_space, entry->secret_key, (size_t)(slash - entry->secret_key));
    name_space[slash - entry->secret_key] = '\0';
    place = (struct vault_place){.secret_namespace = name_space,
                                 .secret_name = slash + 1,
                                 .item = entry->secret->key,
                                 .version = entry->secret->version};
    if (vault_unseal(state->vault, &place, &sealed, out, err) < 0) {
        log_event(LOG_ERROR, "secret-unreadable", LOG_STR("secret", entry->secret_key),
                  LOG_STR("key", entry->secret->key), LOG_STR("error", err->text));
        return -1;
    }
    return 0;
}

int state_reveal_list(struct state *state, const char *node, struct buf *out, char ret_etag[DIGEST_TEXT_MAX],
                      struct err *err) {
    const struct peering_reveal reveal = {.password = reveal_password, .arg = state};
    struct buf content = BUF_INIT;
    struct peering_list peerings;
    struct picture *picture;
    struct node_list *list;
    struct arena arena;
    char etag[DIGEST_TEXT_MAX];
    int rc;

    if (state_node_list(state, node, &list, err) < 0) {
        return -1;
    }
    arena_init(&arena, 8192);
    picture = state_picture(state);
    rc = peering_compute(picture->index, node, &arena, &peerings, err);
    if (rc == 0) {
        peering_encode_content(&peerings, &content);
        rc = buf_failed(&content) ? err_no_memory(err) : 0;
    }
    if (rc == 0) {
        digest_hex(content.data, content.len, etag);
        out->wipe = true;
        peering_encode(&peerings,
                       strcmp(etag, list->etag) == 0 ? list->resource_version : peerings.newest_revision,
                       &reveal, out);
        rc = buf_failed(out) ? err_no_memory(err) : 0;
    }
    if (rc == 0) {
        memcpy(ret_etag, etag, sizeof etag);
    }
    buf_done(&content);
    arena_done(&arena);
    picture_unref(picture);
    node_list_unref(list);
    return rc;
}
