/*
 * Tables of what is no stored object: see own_table.h. Pure.
 */
#include "objects/own_table.h"

#include <inttypes.h>

static void add_columns(const struct table_column *columns, size_t count, struct buf *out) {
    buf_json_key(out, "columnDefinitions");
    buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_json_comma(out);
        buf_add_char(out, '{');
        buf_json_member_str(out, "name", columns[i].name);
        buf_json_member_str(out, "type", columns[i].type);
        buf_json_member_str(out, "format", "");
        buf_json_member_str(out, "description", columns[i].description);
        buf_json_member_u64(out, "priority", columns[i].priority);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

void own_table_begin(const struct table_column *columns, size_t count, uint64_t revision, const char *token,
                     struct buf *out) {
    buf_add_str(out, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{");
    if (revision > 0) {
        buf_json_key(out, "resourceVersion");
        buf_printf(out, "\"%" PRIu64 "\"", revision);
    }
    buf_json_member_str(out, "continue", token);
    buf_add_char(out, '}');
    if (columns != NULL) {
        add_columns(columns, count, out);
    }
    buf_add_str(out, ",\"rows\":[");
}

void own_table_row(struct buf *out) {
    buf_json_comma(out);
    buf_add_str(out, "{\"cells\":[");
}

void own_table_text(struct buf *out, const char *text) {
    buf_json_comma(out);
    buf_add_json_str(out, text != NULL ? text : "-");
}

void own_table_number(struct buf *out, bool known, uint64_t number) {
    buf_json_comma(out);
    if (known) {
        buf_add_u64(out, number);
    } else {
        buf_add_str(out, "null");
    }
}

void own_table_row_end(struct buf *out, const char *name) {
    buf_add_str(
        out,
        "],\"object\":{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{");
    buf_json_member_str(out, "name", name);
    buf_add_str(out, "}}}");
}
