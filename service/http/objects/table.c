/*
 * Tables: one row per object, with the kind's printer columns between NAME and AGE.
 *
 * Cells are taken from the stored JSON by the codec, and of Nodes two from the status: the sums that it keeps
 * anyway, so that a row costs the same however many sessions its node has.
 */
#include "objects/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "codec.h"

int table_object_param(const struct request *request, enum table_object *ret, struct err *err) {
    const char *value = request_query(request, QUERY_INCLUDE_OBJECT);
    if (value == NULL || value[0] == '\0' || strcmp(value, "Metadata") == 0) {
        *ret = TABLE_METADATA;
    } else if (strcmp(value, "Object") == 0) {
        *ret = TABLE_WHOLE;
    } else if (strcmp(value, "None") == 0) {
        *ret = TABLE_NOTHING;
    } else {
        return err_set(err, ERR_BAD_REQUEST, "includeObject=%.50s is not one of None, Metadata, Object",
                       value);
    }
    return 0;
}

static void add_column(const char *name, const char *type, const char *format, const char *description,
                       int priority, struct buf *out) {
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "name", name);
    buf_json_member_str(out, "type", type);
    buf_json_member_str(out, "format", format);
    buf_json_member_str(out, "description", description != NULL ? description : "");
    buf_json_member_u64(out, "priority", (uint64_t)priority);
    buf_add_char(out, '}');
}

static void add_columns(const struct kind_info *kind, struct buf *out) {
    buf_json_key(out, "columnDefinitions");
    buf_add_char(out, '[');
    add_column("Name", "string", "name", "The object's name.", 0, out);
    for (size_t i = 0; i < kind->column_count; i++) {
        const struct printer_column *column = &kind->columns[i];
        add_column(column->name, column->type, "", column->description, column->priority, out);
    }
    if (kind->kind == KIND_NODE) {
        add_column("Sessions", "string", "", "How many are up, of how many its list has.", 0, out);
        add_column("List", "string", "", "Does it have its newest list: current, behind, or silent.", 0, out);
    }
    add_column("Age", "string", "", "Time since the object was created.", 0, out);
    buf_add_char(out, ']');
}

void table_begin(enum kind kind, uint64_t revision, const char *token, int64_t remaining, bool columns,
                 struct buf *out) {
    buf_add_str(out, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{");
    buf_printf(out, "\"resourceVersion\":\"%" PRIu64 "\"", revision);
    buf_json_member_str(out, "continue", token);
    if (remaining >= 0) {
        buf_json_member_u64(out, "remainingItemCount", (uint64_t)remaining);
    }
    buf_add_char(out, '}');
    if (columns) {
        add_columns(kind_info(kind), out);
    }
    buf_add_str(out, ",\"rows\":[");
}

void table_end(struct buf *out) {
    buf_add_str(out, "]}");
}

void table_age(int64_t since_ms, int64_t now_ms, char out[TABLE_AGE_MAX]) {
    uint64_t seconds = now_ms > since_ms ? (uint64_t)(now_ms - since_ms) / 1000 : 0;
    /* As kubectl: two units only where one would be too coarse. */
    if (seconds < 120) {
        snprintf(out, TABLE_AGE_MAX, "%" PRIu64 "s", seconds);
    } else if (seconds < 600 && seconds % 60 != 0) {
        snprintf(out, TABLE_AGE_MAX, "%" PRIu64 "m%" PRIu64 "s", seconds / 60, seconds % 60);
    } else if (seconds < 3 * 3600) {
        snprintf(out, TABLE_AGE_MAX, "%" PRIu64 "m", seconds / 60);
    } else if (seconds < 8 * 3600 && seconds / 60 % 60 != 0) {
        snprintf(out, TABLE_AGE_MAX, "%" PRIu64 "h%" PRIu64 "m", seconds / 3600, seconds / 60 % 60);
    } else if (seconds < 48 * 3600) {
        snprintf(out, TABLE_AGE_MAX, "%" PRIu64 "h", seconds / 3600);
    } else if (seconds < UINT64_C(2) * 365 * 86400) {
        snprintf(out, TABLE_AGE_MAX, "%" PRIu64 "d", seconds / 86400);
    } else {
        snprintf(out, TABLE_AGE_MAX, "%" PRIu64 "y", seconds / (365 * 86400));
    }
}

static void add_map(const char *key, const struct label_set *map, struct buf *out) {
    if (map->count == 0) {
        return;
    }
    buf_json_key(out, key);
    buf_add_char(out, '{');
    for (size_t i = 0; i < map->count; i++) {
        buf_json_member_str(out, map->items[i].key, map->items[i].value);
    }
    buf_add_char(out, '}');
}

static void add_head(const struct meta *meta, struct buf *out) {
    buf_add_str(out, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{");
    buf_json_member_str(out, "name", meta->name);
    buf_json_member_str(out, "namespace", meta->name_space);
}

void table_metadata(const struct object *object, struct buf *out) {
    const struct meta *meta = &object->meta;
    add_head(meta, out);
    buf_json_member_str(out, "uid", meta->uid);
    buf_printf(out, ",\"resourceVersion\":\"%" PRIu64 "\"", meta->resource_version);
    if (meta->generation > 0) {
        buf_json_member_u64(out, "generation", (uint64_t)meta->generation);
    }
    char created[CLOCK_TEXT_MAX];
    clock_format_seconds(meta->creation_ms, created);
    buf_json_member_str(out, "creationTimestamp", created);
    add_map("labels", &meta->labels, out);
    add_map("annotations", &meta->annotations, out);
    buf_add_str(out, "}}");
}

/* Of a Secret, most is none of a table's business. */
static void add_metadata(const struct object *object, struct buf *out) {
    if (object->kind != KIND_SECRET) {
        table_metadata(object, out);
        return;
    }
    add_head(&object->meta, out);
    add_map("labels", &object->meta.labels, out);
    buf_add_str(out, "}}");
}

void table_now_take(struct state *state, struct table_now *ret) {
    *ret = (struct table_now){
        .picture = state_picture(state), .status = state_status(state), .real_ms = clock_realtime_ms()};
}

void table_now_done(struct table_now *now) {
    picture_unref(now->picture);
}

/* What a Node's sessions do. */
static void add_sessions(const struct record *record, const struct table_now *now, struct buf *out) {
    struct status_standing standing = {.list = STATUS_LIST_SILENT, .sessions = -1};
    int64_t slot = peering_index_slot(now->picture->index, record->key);
    char sessions[32] = "-";
    if (slot >= 0) {
        (void)status_node_standing(now->status, (uint32_t)slot, clock_monotonic_ms(), &standing);
    }
    if (standing.sessions >= 0) {
        snprintf(sessions, sizeof(sessions), "%u/%" PRId64, standing.up, standing.sessions);
    }
    buf_json_comma(out);
    buf_add_json_str(out, sessions);
    buf_json_comma(out);
    buf_add_json_str(out, status_list_state_name(standing.list));
}

int table_row(const struct record *record, enum table_object object, const struct table_now *now,
              struct buf *out, struct err *err) {
    const struct meta *meta = &record->object->meta;
    buf_json_comma(out);
    buf_add_str(out, "{\"cells\":[");
    buf_add_json_str(out, meta->name);
    if (codec_columns(record->object->kind, record->json, record->json_len, out, err) != 0) {
        return -1;
    }
    if (record->object->kind == KIND_NODE) {
        add_sessions(record, now, out);
    }
    char age[TABLE_AGE_MAX];
    table_age(meta->creation_ms, now->real_ms, age);
    buf_json_comma(out);
    buf_add_json_str(out, age);
    buf_add_char(out, ']');
    if (object == TABLE_METADATA) {
        buf_add_str(out, ",\"object\":");
        add_metadata(record->object, out);
    } else if (object == TABLE_WHOLE) {
        buf_add_str(out, ",\"object\":");
        buf_add(out, record->json, record->json_len);
    }
    buf_add_char(out, '}');
    return 0;
}
