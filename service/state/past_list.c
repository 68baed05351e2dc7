/*
 * A node's list at an earlier revision, as it was given then: its content is computed from the picture of
 * that revision, its resourceVersion is that of the version that was given (given.c). Keeps nothing, no
 * locks.
 */
#include <string.h>

#include "state_internal.h"

/*
 * Of a list that was never given, or of which that is no longer known, the resourceVersion is worked out:
 * that of the newest object in it; where an older one was given that said something else, and nothing in this
 * one is newer (something was deleted), that of the picture.
 */
static uint64_t version_then(const struct given_version *given, const char *etag, uint64_t newest,
                             uint64_t revision) {
    if (!given->found) {
        return newest;
    }
    return strcmp(given->etag, etag) == 0 ? given->revision : newest > given->revision ? newest : revision;
}

static int write_list(const struct peering_list *peerings, const struct render_format *format,
                      struct arena *arena, struct buf *out, struct past_list *list,
                      const struct given_version *given, uint64_t revision, struct err *err) {
    struct buf content = BUF_INIT;
    char etag[RENDER_ETAG_MAX];
    int result = 0;
    size_t place = peering_encode_content(peerings, &content);
    if (buf_failed(&content)) {
        buf_done(&content);
        return err_no_memory(err);
    }
    digest_hex(content.data, content.len, list->etag);
    list->resource_version = version_then(given, list->etag, peerings->newest_revision, revision);
    if (format->writer == NULL) {
        peering_complete_content(&content, place, list->resource_version, out);
        result = buf_failed(out) ? err_no_memory(err) : 0;
    } else {
        render_etag(format, list->etag, false, etag);
        const struct render_options options = {.revision = list->resource_version, .etag = etag};
        result = render_config(format, peerings, &options, arena, out, &list->report, err);
    }
    buf_done(&content);
    return result;
}

int state_past_list(struct state *state, const struct picture *then, const char *node,
                    const struct render_format *format, struct arena *arena, struct buf *out,
                    struct past_list *ret, struct err *err) {
    uint64_t revision = snapshot_revision(then->snapshot);
    struct past_list list = {.resource_version = 0};
    struct given_version given;
    struct peering_list peerings;
    struct arena scratch;
    arena_init(&scratch, 8192);
    int result = peering_compute(then->index, node, &scratch, &peerings, err);
    if (result == 0) {
        result = given_find(state, node, revision, &given, err);
    }
    if (result == 0) {
        result = write_list(&peerings, format, arena, out, &list, &given, revision, err);
    }
    arena_done(&scratch);
    if (result == 0) {
        *ret = list;
    }
    return result;
}
