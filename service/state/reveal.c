/*
 * Revealing: a node's list with its passwords in clear, for the node itself, as JSON or as its daemon's
 * configuration. The one place where a plaintext leaves the vault, into a buffer that the caller has wiped.
 * Any thread; no locks of its own.
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

/* A list on its way into a format, from one picture. */
struct writing {
    const struct render_format *format;
    struct arena *arena; /* of the report */
    struct buf *out;
    struct revealing *revealing; /* NULL: without passwords */
    /* The outcome. */
    char etag[DIGEST_TEXT_MAX];
    struct render_report report;
};

static int write_format(struct writing *writing, const struct peering_list *peerings, uint64_t revision,
                        const char *etag, struct err *err) {
    const struct peering_reveal reveal = {.password = reveal_password, .arg = writing->revealing};
    const struct render_options options = {
        .revision = revision, .etag = etag, .reveal = writing->revealing != NULL ? &reveal : NULL};
    buf_clear(writing->out);
    return render_config(writing->format, peerings, &options, writing->arena, writing->out, &writing->report,
                         err);
}

static int write_picture(struct writing *writing, const struct picture *picture, const struct node_list *list,
                         struct err *err) {
    struct buf content = BUF_INIT;
    struct peering_list peerings;
    struct arena arena;
    char etag[RENDER_ETAG_MAX];

    arena_init(&arena, 8192);
    int result = peering_compute(picture->index, list->node, &arena, &peerings, err);
    if (result == 0) {
        peering_encode_content(&peerings, &content);
        result = buf_failed(&content) ? err_no_memory(err) : 0;
    }
    if (result == 0) {
        digest_hex(content.data, content.len, writing->etag);
        uint64_t revision =
            strcmp(writing->etag, list->etag) == 0 ? list->resource_version : peerings.newest_revision;
        render_etag(writing->format, writing->etag, writing->revealing != NULL, etag);
        result = write_format(writing, &peerings, revision, etag, err);
        if (result == 0 && writing->revealing != NULL && writing->revealing->failures > 0) {
            /* Not the ETag of the answer with all its passwords: its node must ask again, not get a 304. */
            buf_add_str(&content, "withheld");
            result = buf_failed(&content) ? err_no_memory(err) : 0;
            if (result == 0) {
                digest_hex(content.data, content.len, writing->etag);
                result = write_format(writing, &peerings, revision, NULL, err);
            }
        }
    }
    buf_done(&content);
    arena_done(&arena);
    return result;
}

int state_render_list(struct state *state, const char *node, const struct render_format *format, bool reveal,
                      struct arena *arena, struct buf *out, char ret_etag[DIGEST_TEXT_MAX],
                      struct render_report *ret_report, struct err *err) {
    struct node_list *list;
    if (state_node_list(state, node, &list, err) != 0) {
        return -1;
    }
    out->wipe = true;
    struct revealing revealing = {.state = state};
    struct writing writing = {
        .format = format, .arena = arena, .out = out, .revealing = reveal ? &revealing : NULL};
    bool outdated = true;
    int result = 0;
    /* A rotation may have sealed the values again, and dropped their old key, after the picture was taken. */
    for (int i = 0; i < REVEAL_TRIES && result == 0 && outdated && (i == 0 || revealing.failures > 0); i++) {
        struct picture *picture = state_picture(state);
        revealing.failures = 0;
        result = write_picture(&writing, picture, list, err);
        struct picture *newest = state_picture(state);
        outdated = newest != picture;
        picture_unref(newest);
        picture_unref(picture);
    }
    node_list_unref(list);
    if (result == 0) {
        memcpy(ret_etag, writing.etag, sizeof(writing.etag));
        *ret_report = writing.report;
    }
    return result;
}

int state_reveal_list(struct state *state, const char *node, struct buf *out, char ret_etag[DIGEST_TEXT_MAX],
                      struct err *err) {
    struct arena none;
    struct render_report report;
    arena_init(&none, 0);
    int result = state_render_list(state, node, render_format_by_name("json"), true, &none, out, ret_etag,
                                   &report, err);
    arena_done(&none);
    return result;
}
