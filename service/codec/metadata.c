/*
 * metadata of every kind (metav1.ObjectMeta): from its form in JSON to the one that is kept. No locks,
 * nothing owned.
 */
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "codec_internal.h"

/* A person who sets these expects an effect that is not there. */
static void advise_dropped(struct decoding *d, const json_t *metadata, const char *name) {
    const json_t *value = json_object_get(metadata, name);

    if (d->advice && json_array_size(value) > 0) {
        advice_add(d->advice, "metadata.%s is not kept: nothing here acts on it", name);
    }
}

/* NULL: absent, empty, or refused, which has been said. */
static const char *not_empty(const char *text) {
    return text && *text && text != FIELDS_REFUSED_TEXT ? text : NULL;
}

void metadata_decode(struct decoding *d, json_t *metadata, struct meta *ret) {
    const struct path path = {.name = "metadata"};
    struct path member = {.parent = &path};
    struct wire_meta wire = {.name = NULL};
    uint64_t version = 0;
    int64_t created = 0;

    if (!metadata || json_is_null(metadata)) {
        return;
    }
    if (!json_is_object(metadata)) {
        decoding_wrong_type(d, &path, "expected an object", metadata);
        return;
    }
    fields_decode(d, codec_meta_schema(), metadata, &path, &wire);
    advise_dropped(d, metadata, "finalizers");
    advise_dropped(d, metadata, "ownerReferences");
    wire.resource_version = not_empty(wire.resource_version);
    if (wire.resource_version &&
        !u64_parse(wire.resource_version, strlen(wire.resource_version), UINT64_MAX, &version)) {
        member.name = "resourceVersion";
        decoding_invalid(d, &member, "expected the decimal number that the object was read with");
    }
    if (wire.creation && wire.creation != FIELDS_REFUSED_TEXT &&
        !clock_parse(wire.creation, strlen(wire.creation), &created)) {
        member.name = "creationTimestamp";
        decoding_malformed(d, &member, "expected a time such as 2026-11-23T19:00:00Z (RFC 3339), or null");
    }
    *ret = (struct meta){
        .name = not_empty(wire.name),
        .name_space = not_empty(wire.name_space),
        .generate_name = not_empty(wire.generate_name),
        .uid = not_empty(wire.uid),
        .resource_version = version,
        .generation = wire.generation.value,
        .creation_ms = created,
        .labels = wire.labels,
        .annotations = wire.annotations,
    };
}
