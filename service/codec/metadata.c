/*
 * metadata of every kind (metav1.ObjectMeta): its own field table, and the members that are kept in
 * another form than JSON's. No locks, nothing owned.
 */
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "codec_internal.h"

/* As it stands in JSON. */
struct wire_meta {
    const char *name;
    const char *name_space;
    const char *generate_name;
    const char *uid;
    const char *resource_version;
    struct opt_int generation;
    const char *creation;
    struct label_set labels;
    struct label_set annotations;
};

#define AT(member) .offset = offsetof(struct wire_meta, member)

static const struct field meta_fields[] = {
    {.name = "name",
     .type = FIELD_STRING,
     AT(name),
     .max_length = 253,
     .description = "The object's name, unique among its kind (and namespace)."},
    {.name = "generateName",
     .type = FIELD_STRING,
     AT(generate_name),
     .description = "When there is no name: what the service makes one from, by five more characters."},
    {.name = "namespace",
     .type = FIELD_STRING,
     AT(name_space),
     .description = "The namespace, for kinds that have one (Secret)."},
    {.name = "uid",
     .type = FIELD_STRING,
     AT(uid),
     .description = "Given at creation and kept over updates; sent back, it is a precondition."},
    {.name = "resourceVersion",
     .type = FIELD_STRING,
     AT(resource_version),
     .description = "The revision of the last change; sent back, it is a precondition."},
    {.name = "generation",
     .type = FIELD_INT,
     AT(generation),
     .description = "Counts the changes of the desired state (spec)."},
    {.name = "creationTimestamp",
     .type = FIELD_STRING,
     AT(creation),
     .description = "When the object was created (RFC 3339); set by the service."},
    {.name = "labels",
     .type = FIELD_STRING_MAP,
     AT(labels),
     .description = "Keys and values that selectors look at."},
    {.name = "annotations",
     .type = FIELD_STRING_MAP,
     AT(annotations),
     .description = "Keys and values that nothing here looks at."},
    {.name = "managedFields", .type = FIELD_IGNORED, .description = "Accepted and not kept."},
    {.name = "selfLink", .type = FIELD_IGNORED, .description = "Accepted and not kept."},
    {.name = "clusterName", .type = FIELD_IGNORED, .description = "Accepted and not kept."},
    {.name = "ownerReferences", .type = FIELD_IGNORED, .description = "Accepted and not kept."},
    {.name = "finalizers", .type = FIELD_IGNORED, .description = "Accepted and not kept."},
    {.name = "deletionTimestamp", .type = FIELD_IGNORED, .description = "Accepted and not kept."},
    {.name = "deletionGracePeriodSeconds", .type = FIELD_IGNORED, .description = "Accepted and not kept."},
};

static const struct schema meta_schema = {
    .name = "ObjectMeta",
    .description = "What every object has: its name, its labels, and what the service notes about it.",
    .size = sizeof(struct wire_meta),
    .fields = meta_fields,
    .field_count = sizeof meta_fields / sizeof *meta_fields,
};

const struct schema *codec_meta_schema(void) {
    return &meta_schema;
}

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
    fields_decode(d, &meta_schema, metadata, &path, &wire);
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
