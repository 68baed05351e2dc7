/*
 * What becomes of each document of an import: read as one of our kinds, skipped because it is none of them,
 * or bad. Of what is read, everything that only its old home can mean is left out: uid, resourceVersion and
 * the times.
 *
 * 1. Each document is sorted by apiVersion and kind.
 * 2. What is ours is cleaned and written as JSON; whether it is valid is codec_decode's to say.
 * 3. A second document about the same object is bad, and Secrets that nothing refers to are skipped.
 *
 * Everything kept lives in the caller's arena. No locks.
 */
#include "import.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"

#define CRD_VERSION  "crd.projectcalico.org/v1"
#define CRD_METADATA CALICO_ANNOTATIONS "metadata"
#define CORE_VERSION "v1"

struct importing {
    enum codec_import_source source;
    const char *secret_namespace;
    struct arena *arena;
    struct codec_import *items;
    json_t *seen;    /* "Node/n1": the number of its document */
    json_t *secrets; /* names that the documents refer to */
};

/* ---- sorting ---- */

/* The kinds of calicoctl before version 3 are spelt like this, in apiVersion v1. */
static bool is_old_kind(const char *kind) {
    return strcmp(kind, "bgpPeer") == 0 || strcmp(kind, "node") == 0 || strcmp(kind, "ipPool") == 0 ||
           strcmp(kind, "hostEndpoint") == 0;
}

static enum import_sort sort_calico(const char *kind, bool crd, enum kind *ret_kind, char *why) {
    const struct kind_info *info = kind_by_name(kind);
    if (info != NULL && info->group[0] != '\0') {
        *ret_kind = info->kind;
        return crd ? SORT_CRD : SORT_OURS;
    }
    struct suggest suggest = suggest_begin(kind, strlen(kind));
    for (int i = 0; i < KIND_COUNT; i++) {
        suggest_consider(&suggest, kind_info((enum kind)i)->name);
    }
    if (suggest.meant != NULL) {
        char shown[SHOWN_TEXT_MAX];
        snprintf(why, ERR_TEXT_MAX, "the kind \"%s\" does not exist, did you mean %s?",
                 text_shown(kind, shown), suggest.meant);
        return SORT_UNKNOWN;
    }
    snprintf(why, ERR_TEXT_MAX, "of no use for BGP peerings");
    return SORT_OTHER;
}

enum import_sort import_sort(const json_t *document, enum kind *ret_kind, char *why) {
    const char *version = import_text(document, "apiVersion"), *kind = import_text(document, "kind");
    bool crd = strcmp(version, CRD_VERSION) == 0;
    if (!json_is_object(document)) {
        snprintf(why, ERR_TEXT_MAX, "it is %s; expected an object with apiVersion and kind",
                 tree_type_name(document));
        return SORT_UNKNOWN;
    }
    if (version[0] == '\0' || kind[0] == '\0') {
        snprintf(why, ERR_TEXT_MAX, "it has no %s", kind[0] == '\0' ? "kind" : "apiVersion");
        return SORT_UNKNOWN;
    }
    if (crd || strcmp(version, kind_info(KIND_NODE)->api_version) == 0) {
        return sort_calico(kind, crd, ret_kind, why);
    }
    if (strcmp(version, CORE_VERSION) == 0) {
        *ret_kind = strcmp(kind, "Secret") == 0 ? KIND_SECRET : KIND_NODE;
        if (strcmp(kind, "Secret") == 0 || strcmp(kind, "Node") == 0) {
            return *ret_kind == KIND_SECRET ? SORT_SECRET : SORT_NODE;
        }
        if (is_old_kind(kind)) {
            snprintf(
                why, ERR_TEXT_MAX,
                "it is of Calico's old API, before version 3; convert it first: calicoctl convert -f FILE");
            return SORT_UNKNOWN;
        }
    }
    snprintf(why, ERR_TEXT_MAX, "of no use for BGP peerings");
    return SORT_OTHER;
}

/* ---- one document ---- */

static void note(struct importing *importing, struct codec_import *item, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
static void note(struct importing *importing, struct codec_import *item, const char *fmt, ...) {
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (item->note_count < IMPORT_NOTES_MAX) {
        item->notes[item->note_count++] = arena_strdup(importing->arena, text);
    }
}

static void decide(struct importing *importing, struct codec_import *item, enum codec_import_fate fate,
                   const char *fmt, ...) PRINTF_LIKE(4, 5);
static void decide(struct importing *importing, struct codec_import *item, enum codec_import_fate fate,
                   const char *fmt, ...) {
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    item->fate = fate;
    item->why = arena_strdup(importing->arena, text);
    item->json = NULL;
    item->len = 0;
}

/* What another system's metadata says that can mean nothing here. */
static void clean_metadata(struct importing *importing, struct codec_import *item, json_t *metadata) {
    static const char *const DROPPED[] = {
        "creationTimestamp", "generation", "managedFields",     "selfLink",   "deletionGracePeriodSeconds",
        "ownerReferences",   "finalizers", "deletionTimestamp", "clusterName"};
    bool uid = json_object_del(metadata, "uid") == 0;
    bool version = json_object_del(metadata, "resourceVersion") == 0;
    if (uid || version) {
        note(importing, item, "%s%s%s left out: %s of the system it comes from", uid ? "uid" : "",
             uid && version ? " and " : "", version ? "resourceVersion" : "",
             uid && version ? "those are" : "that is");
    }
    for (size_t i = 0; i < sizeof(DROPPED) / sizeof(DROPPED[0]); i++) {
        (void)json_object_del(metadata, DROPPED[i]);
    }
    json_t *annotations = json_object_get(metadata, "annotations");
    (void)json_object_del(annotations, LAST_APPLIED_ANNOTATION);
    if (json_is_object(annotations) && json_object_size(annotations) == 0) {
        (void)json_object_del(metadata, "annotations");
    }
}

/* The member `name` of `kept` goes into metadata, under what metadata has of it already. */
static int take_kept(json_t *metadata, const json_t *kept, const char *name) {
    json_t *shown = json_object_get(kept, name), *own = json_object_get(metadata, name);
    if (!json_is_object(shown) || (own != NULL && !json_is_null(own) && !json_is_object(own))) {
        return 0;
    }
    return (json_is_object(own) && json_object_update(shown, own) != 0) ||
                   json_object_set(metadata, name, shown) != 0
               ? -1
               : 0;
}

/* Calico keeps in this annotation of a custom resource what it shows as labels and annotations. */
static int take_crd_metadata(json_t *metadata, struct err *err) {
    json_t *annotations = json_object_get(metadata, "annotations");
    json_auto_t *kept = NULL;
    if (import_annotation(annotations, CRD_METADATA, &kept, err) != 0) {
        return -1;
    }
    if (kept == NULL) {
        return 0;
    }
    (void)json_object_del(annotations, CRD_METADATA);
    return take_kept(metadata, kept, "labels") != 0 || take_kept(metadata, kept, "annotations") != 0
               ? err_no_memory(err)
               : 0;
}

static int take_calico(struct importing *importing, struct codec_import *item, json_t *document, bool crd,
                       struct err *err) {
    json_t *metadata = json_object_get(document, "metadata");
    if (crd) {
        if (take_crd_metadata(metadata, err) != 0 ||
            json_object_set_new(document, "apiVersion", json_string(kind_info(item->as)->api_version)) != 0) {
            return err->code != ERR_NONE ? -1 : err_no_memory(err);
        }
        note(importing, item, "read as %s", kind_info(item->as)->api_version);
    }
    if (item->as != KIND_NODE && json_object_del(document, "status") == 0) {
        note(importing, item, "status left out");
    }
    clean_metadata(importing, item, metadata);
    return 0;
}

static int take_secret(struct importing *importing, struct codec_import *item, json_t *document,
                       struct err *err) {
    json_t *metadata = json_object_get(document, "metadata");
    importing->arena->wipe = true;
    if (strcmp(item->name_space, importing->secret_namespace) != 0) {
        if (json_object_set_new(metadata, "namespace", json_string(importing->secret_namespace)) != 0) {
            return err_no_memory(err);
        }
        if (item->name_space[0] != '\0') {
            note(importing, item, "namespace %s becomes %s, where secretKeyRef is looked up",
                 item->name_space, importing->secret_namespace);
        }
    }
    clean_metadata(importing, item, metadata);
    return 0;
}

static int take_node(struct importing *importing, struct codec_import *item, json_t *document, json_t **ret,
                     struct err *err) {
    json_t *node;
    if (import_node(document, &node, err) != 0) {
        return -1;
    }
    note(importing, item, "read from its labels and the annotations " CALICO_ANNOTATIONS "…");
    if (json_object_get(json_object_get(node, "spec"), "bgp") == NULL) {
        note(importing, item,
             "it has no annotation " CALICO_ANNOTATIONS "IPv4Address: no sessions of its own");
    }
    *ret = node;
    return 0;
}

/* The document as this service takes it, in `document` itself or as another tree. */
static int translate(struct importing *importing, struct codec_import *item, enum import_sort sort,
                     json_t *document, json_t **ret, struct err *err) {
    if (sort == SORT_NODE) {
        return take_node(importing, item, document, ret, err);
    }
    int result = sort == SORT_SECRET ? take_secret(importing, item, document, err)
                                     : take_calico(importing, item, document, sort == SORT_CRD, err);
    *ret = result == 0 ? json_incref(document) : NULL;
    return result;
}

static int keep(struct importing *importing, struct codec_import *item, const json_t *document,
                struct err *err) {
    struct buf text = {.wipe = item->as == KIND_SECRET};
    if (tree_write(document, &text) == 0) {
        item->json = arena_strndup(importing->arena, text.data, text.len);
        item->len = text.len;
    }
    buf_done(&text);
    return item->json == NULL ? err_no_memory(err) : 0;
}

/* May a document of this sort be read? False: it is decided. */
static bool is_wanted(struct importing *importing, struct codec_import *item, enum import_sort sort,
                      const json_t *document) {
    const char *type = import_text(document, "type");
    if (sort == SORT_NODE && importing->source == IMPORT_CALICO) {
        decide(importing, item, IMPORT_SKIPPED, "Nodes are read from Calico's own, as asked");
    } else if (sort == SORT_OURS && item->as == KIND_NODE && importing->source == IMPORT_KUBERNETES) {
        decide(importing, item, IMPORT_SKIPPED, "Nodes are read from Kubernetes' own, as asked");
    } else if (sort == SORT_SECRET && type[0] != '\0' && strcmp(type, "Opaque") != 0) {
        decide(importing, item, IMPORT_SKIPPED, "a Secret of type %.100s holds no password of a BGPPeer",
               type);
    } else if (item->name[0] == '\0') {
        decide(importing, item, IMPORT_BAD, "metadata.name is missing");
    } else {
        return true;
    }
    return false;
}

static void describe(struct importing *importing, struct codec_import *item, const json_t *document) {
    const json_t *metadata = json_object_get(document, "metadata");
    item->api_version = arena_strdup(importing->arena, import_text(document, "apiVersion"));
    item->kind = arena_strdup(importing->arena, import_text(document, "kind"));
    item->name = arena_strdup(importing->arena, import_text(metadata, "name"));
    item->name_space = arena_strdup(importing->arena, import_text(metadata, "namespace"));
}

static int take(struct importing *importing, struct codec_import *item, json_t *document, struct err *err) {
    char why[ERR_TEXT_MAX] = "";
    enum import_sort sort = import_sort(document, &item->as, why);
    json_auto_t *translated = NULL;
    describe(importing, item, document);
    if (importing->arena->failed) {
        return err_no_memory(err);
    }
    if (sort == SORT_OTHER || sort == SORT_UNKNOWN) {
        decide(importing, item, sort == SORT_OTHER ? IMPORT_SKIPPED : IMPORT_BAD, "%s", why);
        return 0;
    }
    struct err problem = ERR_INIT;
    if (!is_wanted(importing, item, sort, document)) {
        return 0;
    }
    if (translate(importing, item, sort, document, &translated, &problem) == 0) {
        return keep(importing, item, translated, err);
    }
    if (problem.code != ERR_BAD_REQUEST) {
        *err = problem;
        return -1;
    }
    decide(importing, item, IMPORT_BAD, "%s", problem.text);
    return 0;
}

/* ---- documents among each other ---- */

static int note_reference(json_t *secrets, const json_t *document, const char *member) {
    const json_t *password = json_object_get(json_object_get(document, "spec"), member);
    const char *name = import_text(json_object_get(password, "secretKeyRef"), "name");
    return name[0] != '\0' ? json_object_set_new(secrets, name, json_true()) : 0;
}

static int note_references(struct importing *importing, const json_t *documents, struct err *err) {
    size_t i;
    json_t *document;
    json_array_foreach(documents, i, document) {
        if (note_reference(importing->secrets, document, "password") != 0 ||
            note_reference(importing->secrets, document, "nodeMeshPassword") != 0) {
            return err_no_memory(err);
        }
    }
    return 0;
}

static int compare(struct importing *importing, struct codec_import *item, struct err *err) {
    char key[512];
    if (item->as == KIND_SECRET && json_object_get(importing->secrets, item->name) == NULL) {
        decide(importing, item, IMPORT_SKIPPED, "no document of this import refers to this Secret");
        return 0;
    }
    snprintf(key, sizeof(key), "%s/%s", kind_info(item->as)->name, item->name);
    const json_t *first = json_object_get(importing->seen, key);
    size_t number = (size_t)(item - importing->items) + 1;
    if (first == NULL) {
        return json_object_set_new(importing->seen, key, json_integer((json_int_t)number)) != 0
                   ? err_no_memory(err)
                   : 0;
    }
    decide(importing, item, IMPORT_BAD, "document %lld is about the same object; leave one of them out%s",
           (long long)json_integer_value(first),
           item->as == KIND_NODE ? ", or say whose Nodes to read, Calico's or Kubernetes' own" : "");
    return 0;
}

static int import_all(struct importing *importing, json_t *documents, struct err *err) {
    size_t i;
    json_t *document;
    if (importing->seen == NULL || importing->secrets == NULL) {
        return err_no_memory(err);
    }
    json_array_foreach(documents, i, document) {
        if (take(importing, &importing->items[i], document, err) != 0) {
            return -1;
        }
    }
    if (note_references(importing, documents, err) != 0) {
        return -1;
    }
    for (i = 0; i < json_array_size(documents); i++) {
        struct codec_import *item = &importing->items[i];
        if (item->fate == IMPORT_TAKEN && compare(importing, item, err) != 0) {
            return -1;
        }
    }
    return importing->arena->failed ? err_no_memory(err) : 0;
}

int codec_import(enum codec_syntax syntax, enum codec_import_source source, const char *bytes, size_t len,
                 const char *secret_namespace, struct arena *arena, struct codec_import **ret,
                 size_t *ret_count, struct err *err) {
    json_auto_t *documents = NULL;
    if (import_read(syntax, bytes, len, &documents, err) != 0) {
        return -1;
    }
    size_t count = json_array_size(documents);
    struct importing importing = {.source = source,
                                  .secret_namespace = secret_namespace,
                                  .arena = arena,
                                  .items = arena_array(arena, count, sizeof(struct codec_import)),
                                  .seen = json_object(),
                                  .secrets = json_object()};
    int result = importing.items != NULL ? import_all(&importing, documents, err) : err_no_memory(err);
    json_decref(importing.seen);
    json_decref(importing.secrets);
    if (result == 0) {
        *ret = importing.items;
        *ret_count = count;
    }
    return result;
}
