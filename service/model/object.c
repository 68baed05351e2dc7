/*
 * What holds for whole objects: all rules of one kind, and all advice. Pure functions, no locks.
 */
#include <stdio.h>
#include <string.h>

#include "tables.h"

/* ---- documents that are refused already ---- */

static bool is_at_or_below(const char *field, const char *whole) {
    size_t len = strlen(whole);
    return strncmp(field, whole, len) == 0 && (field[len] == '\0' || field[len] == '.' || field[len] == '[');
}

/* Does the message name that field, which it begins with a quotation mark, or one below it? */
static bool suggests(const char *message, const char *quoted, size_t len) {
    const char *found = strstr(message, quoted);
    return found != NULL && (found[len] == '"' || found[len] == '.' || found[len] == '[');
}

/*
 * Does the cause follow from one of those that were there before?
 *  1. A value was of the wrong type, and is now called wrong or missing as well, or is named in the sentence.
 *  2. Something in an object could not be read, and now the object is called incomplete.
 *  3. A field is missing because it stands at another place, which the suggestion there names.
 */
static bool is_consequence(const struct cause *cause, const struct causes *causes, size_t known) {
    char quoted[ERR_FIELD_MAX + 2];
    int len = snprintf(quoted, sizeof(quoted), "\"%s", cause->field);
    for (size_t i = 0; i < known; i++) {
        const struct cause *before = &causes->items[i];
        bool unknown = strcmp(before->reason, CAUSE_UNKNOWN_FIELD) == 0;
        bool mistyped = strcmp(before->reason, CAUSE_TYPE) == 0;
        if (is_at_or_below(cause->field, before->field) ||
            (mistyped && strstr(cause->message, before->field) != NULL) ||
            ((unknown || mistyped) && is_at_or_below(before->field, cause->field)) ||
            (unknown && suggests(before->message, quoted, (size_t)len))) {
            return true;
        }
    }
    return false;
}

static void drop_consequences(struct causes *causes, size_t known) {
    size_t kept = known;
    for (size_t i = known; i < causes->count; i++) {
        if (!is_consequence(&causes->items[i], causes, known)) {
            causes->items[kept++] = causes->items[i];
        }
    }
    causes->count = kept;
}

void object_validate(const struct object *object, struct causes *causes) {
    const struct kind_info *info = kind_info(object->kind);
    size_t known = causes->count;
    meta_validate(object, causes);
    schema_validate(info->body, object->body, "", causes);
    if (info->rule != NULL) {
        info->rule(object, causes);
    }
    if (known > 0) {
        drop_consequences(causes, known);
    }
}

/* ---- advice ---- */

typedef void advise_kind(const struct object *object, struct advice *advice);

static advise_kind *const advisers[KIND_COUNT] = {
    [KIND_BGPPEER] = bgp_peer_advise,
    [KIND_NODE] = node_advise,
    [KIND_BGPCONFIGURATION] = bgp_configuration_advise,
    [KIND_BGPFILTER] = bgp_filter_advise,
    [KIND_SECRET] = secret_advise,
};

void object_advise(const struct object *object, struct advice *advice) {
    meta_advise(&object->meta, advice);
    advisers[object->kind](object, advice);
}
