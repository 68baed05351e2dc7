/*
 * `bgppeerd export`: the fleet's resources as documents that can be kept, compared and imported again, by
 * kind and name, without what the service gives them (uid, versions, times, status).
 *
 * The lists of all kinds are of one state: when something was changed between two of them, all are asked for
 * again. Secrets are left out, because their values never leave the service; when they are asked for,
 * comments name them and their keys.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/suggest.h"
#include "model/object.h"
#include "people/people.h"

#define EXPORT_TRIES 5

struct export_settings {
    struct people_settings people;
    const char *kinds;
};

static const struct option EXPORT_TABLE[] = {
    PEOPLE_OPTIONS,
    {.name = "kinds",
     .value = "KINDS",
     .type = OPTION_TEXT,
     .offset = offsetof(struct export_settings, kinds),
     .argument_only = true,
     .help = "These kinds only, separated by commas: BGPPeer,Node; for Secret, comments with the names of "
             "its keys"},
};

/* ---- kinds ---- */

const struct kind_info *people_find_kind(const char *name) {
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const struct kind_info *info = kind_info((enum kind)i);
        if (strcasecmp(info->name, name) == 0 || strcmp(info->plural, name) == 0) {
            return info;
        }
    }
    return NULL;
}

static int no_such_kind(const char *name, struct err *err) {
    struct suggest suggest = suggest_begin(name, strlen(name));
    for (size_t i = 0; i < KIND_COUNT; i++) {
        suggest_consider(&suggest, kind_info((enum kind)i)->name);
    }
    return err_set(err, ERR_USAGE, "--kinds: there is no kind \"%.50s\"%s%s%s", name,
                   suggest.meant != NULL ? "; did you mean " : "", suggest.meant != NULL ? suggest.meant : "",
                   suggest.meant != NULL ? "?" : "");
}

/* All that may be kept in a file, unless some are named. */
static int choose_kinds(struct people *people, const char *text, bool ret_wanted[KIND_COUNT],
                        struct err *err) {
    for (size_t i = 0; i < KIND_COUNT; i++) {
        ret_wanted[i] = text == NULL && i != KIND_SECRET;
    }
    char *rest = arena_strdup(&people->arena, text);
    if (text != NULL && rest == NULL) {
        return err_no_memory(err);
    }
    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        const struct kind_info *info = people_find_kind(name);
        if (info == NULL) {
            return no_such_kind(name, err);
        }
        ret_wanted[info->kind] = true;
    }
    return 0;
}

/* ---- documents ---- */

/* Labels and annotations in the order of their keys, whatever order they were written in. */
static int add_sorted(json_t *metadata, const char *member, json_t *map) {
    struct buf text = BUF_INIT;
    if (json_object_size(map) == 0) {
        return 0;
    }
    json_write(map, JSON_SORT_KEYS | JSON_COMPACT, &text);
    json_t *sorted = buf_failed(&text) ? NULL : json_loadb(text.data, text.len, 0, NULL);
    buf_done(&text);
    return json_object_set_new(metadata, member, sorted);
}

/* What people wrote, and nothing of what the service or kubectl added. NULL: memory is out. */
static json_t *bare_document(const struct kind_info *info, const json_t *object) {
    json_t *metadata = json_object(), *document = json_object();
    json_t *found = json_object_get(object, "metadata"), *annotations;
    const char *key;
    json_t *value, *walked = (json_t *)object; /* which stays as it is */
    annotations = json_copy(json_object_get(found, "annotations"));
    (void)json_object_del(annotations, "kubectl.kubernetes.io/last-applied-configuration");
    bool whole = json_object_set(metadata, "name", json_object_get(found, "name")) == 0 &&
                 add_sorted(metadata, "labels", json_object_get(found, "labels")) == 0 &&
                 add_sorted(metadata, "annotations", annotations) == 0 &&
                 json_object_set_new(document, "apiVersion", json_string(info->api_version)) == 0 &&
                 json_object_set_new(document, "kind", json_string(info->name)) == 0 &&
                 json_object_set(document, "metadata", metadata) == 0;
    json_object_foreach(walked, key, value) {
        bool own = strcmp(key, "apiVersion") != 0 && strcmp(key, "kind") != 0 &&
                   strcmp(key, "metadata") != 0 && strcmp(key, "status") != 0;
        whole = whole && (!own || json_object_set(document, key, value) == 0);
    }
    json_decref(annotations);
    json_decref(metadata);
    if (!whole) {
        json_decref(document);
        return NULL;
    }
    return document;
}

/* ---- lists ---- */

/* The whole list of a kind into `items`; *ret_version is of all that there is. */
static int read_list(struct people *people, const struct kind_info *info, json_t *items,
                     const char **ret_version, struct err *err) {
    const char *path =
        info->group[0] != '\0'
            ? arena_printf(&people->arena, "/apis/%s/%s/%s", info->group, info->version, info->plural)
            : arena_printf(&people->arena, "/api/%s/%s", info->version, info->plural);
    json_t *list = NULL;
    if (path == NULL) {
        return err_no_memory(err);
    }
    const struct people_request request = {.path = path, .doing = "exporting"};
    int result = people_ask_json(people, &request, &list, err);
    if (result == 0) {
        *ret_version = json_text(people, json_object_get(list, "metadata"), "resourceVersion");
        result = json_array_extend(items, json_object_get(list, "items")) == 0 ? 0 : err_no_memory(err);
    }
    json_decref(list);
    return result;
}

static void free_lists(json_t *lists[KIND_COUNT]) {
    for (size_t i = 0; i < KIND_COUNT; i++) {
        json_decref(lists[i]);
        lists[i] = NULL;
    }
}

static int read_lists(struct people *people, const bool wanted[KIND_COUNT], json_t *ret[KIND_COUNT],
                      struct err *err) {
    for (int tries = 0; tries < EXPORT_TRIES; tries++) {
        const char *first = NULL, *version = NULL;
        bool same = true;
        for (size_t i = 0; i < KIND_COUNT; i++) {
            ret[i] = wanted[i] ? json_array() : NULL;
            if (wanted[i] &&
                (ret[i] == NULL || read_list(people, kind_info((enum kind)i), ret[i], &version, err) != 0)) {
                return ret[i] == NULL ? err_no_memory(err) : -1;
            }
            first = first == NULL ? version : first;
            same = same && (version == NULL || strcmp(first, version) == 0);
        }
        if (same) {
            return 0;
        }
        free_lists(ret);
    }
    return err_set(err, ERR_UNAVAILABLE, "the fleet changes faster than it can be read; try again");
}

/* ---- writing ---- */

static void write_secrets(struct people *people, const json_t *secrets) {
    const json_t *secret;
    size_t i;
    json_array_foreach(secrets, i, secret) {
        const json_t *meta = json_object_get(secret, "metadata");
        json_t *data = json_object_get(secret, "data"), *value;
        const char *key, *before = "";
        struct buf keys = BUF_INIT;
        json_object_foreach(data, key, value) {
            buf_printf(&keys, "%s%s", before, key);
            before = ", ";
        }
        show_line(people, MARK_NONE, 0, "# Secret %s/%s has the keys: %s",
                  json_text(people, meta, "namespace"), json_text(people, meta, "name"),
                  keys.data != NULL ? keys.data : "");
        people->out.failed = people->out.failed || buf_failed(&keys);
        buf_done(&keys);
    }
}

static int write_documents(struct people *people, const bool wanted[KIND_COUNT],
                           json_t *const lists[KIND_COUNT], struct err *err) {
    bool as_json = strcmp(people->settings->output, "json") == 0;
    json_t *items = json_array();
    int result = items != NULL ? 0 : err_no_memory(err);
    if (!as_json) {
        show_line(people, MARK_NONE, 0,
                  "# The values of Secrets never leave the service: they are not in here.");
    }
    for (size_t k = 0; k < KIND_COUNT; k++) {
        const json_t *object;
        size_t i;
        if (!wanted[k] || k == KIND_SECRET) {
            continue;
        }
        json_array_foreach(lists[k], i, object) {
            json_t *document = bare_document(kind_info((enum kind)k), object);
            if (document != NULL && !as_json) {
                people_write_yaml(people, document);
            }
            if (document == NULL || json_array_append_new(items, document) != 0) {
                result = err_no_memory(err);
            }
        }
    }
    if (as_json) {
        json_t *list = json_pack("{s:s, s:s, s:O}", "apiVersion", "v1", "kind", "List", "items", items);
        people_write(people, list);
        json_decref(list);
    } else if (wanted[KIND_SECRET]) {
        write_secrets(people, lists[KIND_SECRET]);
    }
    json_decref(items);
    return result;
}

static int export_act(struct people *people, struct err *err) {
    const struct export_settings *settings = (const struct export_settings *)(const void *)people->settings;
    bool wanted[KIND_COUNT];
    json_t *lists[KIND_COUNT] = {NULL};
    if (choose_kinds(people, settings->kinds, wanted, err) != 0) {
        return -1;
    }
    if (wanted[KIND_SECRET] && strcmp(settings->people.output, "json") == 0) {
        return err_set(
            err, ERR_USAGE,
            "JSON has no comments, and a Secret is nothing but one: leave it out of --kinds, or write yaml");
    }
    int result = read_lists(people, wanted, lists, err);
    if (result == 0) {
        result = write_documents(people, wanted, lists, err);
    }
    free_lists(lists);
    return result;
}

static int export_run(const struct command *command, int argc, char **argv) {
    struct export_settings settings;
    return people_run(command, argc, argv, &settings.people, sizeof(settings), 0, export_act);
}

const struct command command_export = {
    .name = "export",
    .summary = "Write the fleet's resources as documents that \"bgppeerd import\" takes, YAML unless -o json",
    .options = EXPORT_TABLE,
    .option_count = sizeof(EXPORT_TABLE) / sizeof(EXPORT_TABLE[0]),
    .asks = true,
    .run = export_run,
};
