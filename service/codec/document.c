/*
 * One document into an object: syntax, the header that must agree with the path, metadata, the kind's
 * body, and then its rules. Everything that is kept lives in the caller's arena. No locks.
 */
#include <stdio.h>
#include <string.h>

#include "codec_internal.h"

/* A header text; "" and null are absent. */
static const char *header_text(struct decoding *d, const json_t *root, const char *name) {
    const struct path path = {.name = name};
    const json_t *value = json_object_get(root, name);

    if (!value || json_is_null(value)) {
        return NULL;
    }
    if (!json_is_string(value)) {
        decoding_wrong_type(d, &path, "expected a string", value);
        return NULL;
    }
    return json_string_length(value) > 0 ? json_string_value(value) : NULL;
}

static int check_header(struct decoding *d, const json_t *root, struct err *err) {
    const struct kind_info *info = d->info;
    const char *api_version = header_text(d, root, "apiVersion");
    const char *kind = header_text(d, root, "kind");

    if ((!kind || strcmp(kind, info->name) == 0) &&
        (!api_version || strcmp(api_version, info->api_version) == 0)) {
        return 0;
    }
    return header_refuse(info, kind, api_version, err);
}

/* Name and namespace of the body must be those of the path, where both are there. */
static void check_address(struct decoding *d, const struct codec_options *options, struct meta *meta) {
    const struct path metadata = {.name = "metadata"};
    struct path member = {.parent = &metadata};
    char shown_ours[SHOWN_TEXT_MAX], shown_theirs[SHOWN_TEXT_MAX];

    if (options->name) {
        if (meta->name && strcmp(meta->name, options->name) != 0) {
            member.name = "name";
            decoding_malformed(d, &member,
                               "the name of the object (%s) does not match the name on the URL (%s)",
                               text_shown(meta->name, shown_theirs), text_shown(options->name, shown_ours));
        }
        if (!meta->name) {
            meta->name = arena_strdup(d->arena, options->name);
        }
    }
    if (!d->info->namespaced) {
        if (meta->name_space) {
            advice_add(d->advice, "metadata.namespace is not kept: a %s has no namespace", d->info->name);
            meta->name_space = NULL;
        }
        return;
    }
    if (options->name_space) {
        if (meta->name_space && !options->any_namespace &&
            strcmp(meta->name_space, options->name_space) != 0) {
            member.name = "namespace";
            decoding_malformed(
                d, &member, "the namespace of the object (%s) does not match the namespace on the URL (%s)",
                text_shown(meta->name_space, shown_theirs), text_shown(options->name_space, shown_ours));
        }
        if (!meta->name_space) {
            meta->name_space = arena_strdup(d->arena, options->name_space);
        }
    }
}

/* The struct of everything below the root; collected complaints stay in `d`. */
static struct object *build_object(struct decoding *d, json_t *root) {
    struct object *object = arena_alloc(d->arena, sizeof *object);

    if (!object) {
        return NULL;
    }
    object->kind = d->info->kind;
    object->body = arena_alloc(d->arena, d->info->body->size);
    if (!object->body) {
        return NULL;
    }
    metadata_decode(d, json_object_get(root, "metadata"), &object->meta);
    fields_decode(d, d->info->body, root, NULL, object->body);
    return object;
}

/* "BGPPeer.projectcalico.org "x" is invalid: spec.peerIP: …", as Kubernetes says it. */
static int refuse_invalid(const struct kind_info *info, const struct object *object,
                          const struct causes *causes, struct err *err) {
    char name[SHOWN_TEXT_MAX];
    const struct cause *first = &causes->items[0];
    struct buf text = BUF_INIT;
    size_t shown = 0;

    for (; shown < causes->count && text.len < ERR_TEXT_MAX / 2; shown++) {
        buf_printf(&text, "%s%s: %s", shown ? ", " : "", causes->items[shown].field,
                   causes->items[shown].message);
    }
    if (shown < causes->count + causes->dropped) {
        buf_printf(&text, " and %zu more", causes->count + causes->dropped - shown);
    }
    err_set_field(err, ERR_INVALID, first->field, "%s%s%s \"%s\" is invalid: %s%s%s", info->name,
                  info->group[0] ? "." : "", info->group,
                  text_shown(object->meta.name ? object->meta.name : "", name), causes->count > 1 ? "[" : "",
                  text.data ? text.data : "", causes->count > 1 ? "]" : "");
    buf_done(&text);
    return -1;
}

/* Whose errors these are: a document that is refused has a name all the same. */
static void tell_name(const struct codec_options *options, const struct meta *meta) {
    const char *name = meta->name ? meta->name : meta->generate_name;

    if (options->ret_name) {
        *options->ret_name = options->name ? options->name : name;
    }
}

static int decode_tree(struct decoding *d, const struct codec_options *options, json_t *root,
                       struct object **ret, struct err *err) {
    struct object *object;

    if (!json_is_object(root)) {
        return header_refuse_body(d->info, root, err);
    }
    if (check_header(d, root, err) < 0) {
        return -1;
    }
    object = build_object(d, root);
    if (!object) {
        return err_no_memory(err);
    }
    tell_name(options, &object->meta);
    check_address(d, options, &object->meta);
    if (object->kind == KIND_SECRET && secret_take_annotations(d, &object->meta, object->body, err) < 0) {
        return -1;
    }
    object_validate(object, d->causes);
    if (d->arena->failed || d->causes->arena->failed) {
        return err_no_memory(err);
    }
    if (decoding_finish(d, err) < 0) {
        return -1;
    }
    if (d->causes->count > 0) {
        return refuse_invalid(d->info, object, d->causes, err);
    }
    object_advise(object, d->advice);
    *ret = object;
    return 0;
}

int codec_decode(const struct codec_options *options, const char *bytes, size_t len, struct arena *arena,
                 struct object **ret, struct causes *causes, struct advice *advice, struct err *err) {
    const struct kind_info *info = kind_info(options->kind);
    json_auto_t *root = NULL;
    struct decoding d;
    int failed;

    arena->wipe = arena->wipe || options->kind == KIND_SECRET;
    decoding_init(&d, arena, info);
    d.unknown = options->unknown;
    d.causes = causes;
    d.advice = advice;
    if (options->syntax == CODEC_PROTOBUF && options->kind == KIND_SECRET) {
        failed = protobuf_read_secret(bytes, len, &root, err);
    } else {
        failed = syntax_read(options->syntax, bytes, len, &d, &root, err);
    }
    if (failed == 0) {
        failed = decode_tree(&d, options, root, ret, err);
    }
    decoding_done(&d);
    return failed;
}

int codec_decode_stored(enum kind kind, const char *json, size_t len, struct arena *arena,
                        struct object **ret, struct err *err) {
    json_auto_t *root = NULL;
    struct object *object = NULL;
    struct decoding d;
    int failed;

    decoding_init(&d, arena, kind_info(kind));
    d.stored = true;
    failed = json_read(json, len, &d, &root, err);
    if (failed < 0 && err->code == ERR_BAD_REQUEST) {
        err->code = ERR_CORRUPT;
        err_wrap(err, "the stored %s cannot be read", d.info->name);
    }
    if (failed == 0) {
        object = json_is_object(root) ? build_object(&d, root) : NULL;
        if (!object && !arena->failed) {
            failed = err_set(err, ERR_CORRUPT, "the stored %s is not a JSON object", d.info->name);
        } else {
            failed = decoding_finish(&d, err);
        }
    }
    if (failed == 0 && object && kind == KIND_SECRET) {
        failed = secret_take_annotations(&d, &object->meta, object->body, err);
    }
    decoding_done(&d);
    if (failed == 0) {
        *ret = object;
    }
    return failed;
}
