/*
 * The registry of kinds. Static and immutable; no locks.
 */
#include <string.h>

#include "tables.h"

static const struct kind_info *const kinds[KIND_COUNT] = {
    [KIND_BGPPEER] = &bgp_peer_kind,
    [KIND_NODE] = &node_kind,
    [KIND_BGPCONFIGURATION] = &bgp_configuration_kind,
    [KIND_BGPFILTER] = &bgp_filter_kind,
    [KIND_SECRET] = &secret_kind,
};

const struct kind_info *kind_info(enum kind kind) {
    return kinds[kind];
}

const struct kind_info *kind_by_plural(const char *group, const char *version, const char *plural) {
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const struct kind_info *info = kinds[i];
        if (strcmp(info->plural, plural) == 0 && strcmp(info->group, group) == 0 &&
            strcmp(info->version, version) == 0) {
            return info;
        }
    }
    return NULL;
}

const struct kind_info *kind_by_name(const char *name) {
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kinds[i]->name, name) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}

const char *object_key(const struct object *object, struct arena *arena) {
    const char *name = object->meta.name != NULL ? object->meta.name : "";
    if (!kinds[object->kind]->namespaced) {
        return arena_strdup(arena, name);
    }
    const char *name_space = object->meta.name_space != NULL ? object->meta.name_space : "";
    return arena_printf(arena, "%s/%s", name_space, name);
}
