/*
 * The field table of metadata (metav1.ObjectMeta), as it stands in JSON. Constant data.
 */
#include "codec_internal.h"

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
