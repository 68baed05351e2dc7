/*
 * "Did you mean", for the names of a schema's fields. Pure.
 */
#include <string.h>

#include "base/suggest.h"
#include "codec_internal.h"

const char *suggest_field(const struct schema *schema, const char *name) {
    struct suggest suggest = suggest_begin(name, strlen(name));

    for (size_t i = 0; i < schema->field_count; i++) {
        suggest_consider(&suggest, schema->fields[i].name);
    }
    return suggest.meant;
}
