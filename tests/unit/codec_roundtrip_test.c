/*
 * decode(encode(x)) is x, and encode(decode(text)) is text, for generated objects of every kind. Objects
 * are made and compared by the field tables, so a new field is covered when it is in its table.
 */
#include "base/number.h"
#include "codec_fixture.h"

#define OBJECTS_PER_KIND 400

static uint64_t random_state;

/* xorshift: the same objects in every run. */
static uint64_t any(uint64_t below) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static const char *any_text(struct arena *arena) {
    static const char *const pieces[] = {
        "a", "rack-1", "\"", "\\", "\n",        "\x01",        "\x7f", "\xc3\xa4", "\xf0\x9f\x90\x88",
        " ", "==",     "/",  "0",  "192.0.2.1", "\xe2\x80\xa8"};
    char *text = arena_strdup(arena, "");

    for (uint64_t i = any(6); i > 0; i--) {
        text = arena_printf(arena, "%s%s", text, pieces[any(sizeof pieces / sizeof *pieces)]);
    }
    assert_non_null(text);
    return text;
}

static void *make_array(struct arena *arena, size_t count, size_t size) {
    void *items = arena_array(arena, count, size);

    assert_non_null(items);
    return items;
}

static struct label_set any_map(struct arena *arena) {
    size_t count = any(4);
    struct label *items = make_array(arena, count, sizeof *items);

    for (size_t i = 0; i < count; i++) {
        items[i].key = arena_printf(arena, "%zu%s", i, any_text(arena));
        items[i].value = any_text(arena);
    }
    return (struct label_set){.count = count, .items = items};
}

static void fill_struct(struct arena *arena, const struct schema *schema, void *object);

static void fill_lists(struct arena *arena, const struct field *field, void *at) {
    size_t count = any(4);
    struct list *list = at;

    if (field->type == FIELD_STRING_LIST) {
        struct string_list *strings = at;

        strings->count = count;
        strings->items = make_array(arena, count, sizeof *strings->items);
        for (size_t i = 0; i < count; i++) {
            strings->items[i] = any_text(arena);
        }
        return;
    }
    list->count = count;
    list->items =
        make_array(arena, count, field->type == FIELD_ASN_LIST ? sizeof(uint32_t) : field->schema->size);
    for (size_t i = 0; i < count; i++) {
        if (field->type == FIELD_ASN_LIST) {
            ((uint32_t *)list->items)[i] = (uint32_t)any(UINT64_C(1) << 32);
        } else {
            fill_struct(arena, field->schema, (char *)list->items + i * field->schema->size);
        }
    }
}

static void fill_member(struct arena *arena, const struct field *field, void *at) {
    static const char *const durations[] = {"0", "1h30m", "20s", "1.5s", "2us", "-3ms"};
    size_t values = 0;

    switch (field->type) {
    case FIELD_STRING:
        *(const char **)at = any_text(arena);
        break;
    case FIELD_ENUM:
        while (field->values[values]) {
            values++;
        }
        *(const char **)at = any(5) == 0 ? any_text(arena) : field->values[any(values)];
        break;
    case FIELD_BOOL:
        *(struct opt_bool *)at = (struct opt_bool){.set = true, .value = any(2) == 1};
        break;
    case FIELD_INT:
        *(struct opt_int *)at = (struct opt_int){.set = true, .value = (int64_t)(any(UINT64_MAX) * 2)};
        break;
    case FIELD_ASN:
        *(struct opt_asn *)at = (struct opt_asn){.set = true, .value = (uint32_t)any(UINT64_C(1) << 32)};
        break;
    case FIELD_DURATION: {
        struct duration *duration = at;
        duration->text = durations[any(sizeof durations / sizeof *durations)];
        assert_true(duration_parse(duration->text, strlen(duration->text), &duration->ns));
        break;
    }
    case FIELD_OBJECT:
        *(void **)at = make_array(arena, 1, field->schema->size);
        fill_struct(arena, field->schema, *(void **)at);
        break;
    case FIELD_OBJECT_LIST:
    case FIELD_STRING_LIST:
    case FIELD_ASN_LIST:
        fill_lists(arena, field, at);
        break;
    case FIELD_STRING_MAP:
        *(struct label_set *)at = any_map(arena);
        break;
    case FIELD_BYTE_MAP:
    case FIELD_IGNORED:
        break;
    }
}

static void fill_struct(struct arena *arena, const struct schema *schema, void *object) {
    for (size_t i = 0; i < schema->field_count; i++) {
        if (any(2) == 1) {
            fill_member(arena, &schema->fields[i], (char *)object + schema->fields[i].offset);
        }
    }
}

static bool same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_map(const struct label_set *a, const struct label_set *b) {
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++) {
        same = same_text(a->items[i].key, b->items[i].key) && same_text(a->items[i].value, b->items[i].value);
    }
    return same;
}

static bool same_struct(const struct schema *schema, const void *a, const void *b);

static bool same_lists(const struct field *field, const struct list *a, const struct list *b) {
    bool same = a->count == b->count && (a->items != NULL) == (b->items != NULL);

    for (size_t i = 0; same && i < a->count; i++) {
        if (field->type == FIELD_ASN_LIST) {
            same = ((uint32_t *)a->items)[i] == ((uint32_t *)b->items)[i];
        } else if (field->type == FIELD_STRING_LIST) {
            same = same_text(((const char **)a->items)[i], ((const char **)b->items)[i]);
        } else {
            size_t at = i * field->schema->size;
            same = same_struct(field->schema, (char *)a->items + at, (char *)b->items + at);
        }
    }
    return same;
}

static bool same_member(const struct field *field, const void *a, const void *b) {
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_ENUM:
        return same_text(*(const char *const *)a, *(const char *const *)b);
    case FIELD_BOOL:
        return ((const struct opt_bool *)a)->set == ((const struct opt_bool *)b)->set &&
               ((const struct opt_bool *)a)->value == ((const struct opt_bool *)b)->value;
    case FIELD_INT:
        return ((const struct opt_int *)a)->set == ((const struct opt_int *)b)->set &&
               ((const struct opt_int *)a)->value == ((const struct opt_int *)b)->value;
    case FIELD_ASN:
        return ((const struct opt_asn *)a)->set == ((const struct opt_asn *)b)->set &&
               ((const struct opt_asn *)a)->value == ((const struct opt_asn *)b)->value;
    case FIELD_DURATION:
        return same_text(((const struct duration *)a)->text, ((const struct duration *)b)->text) &&
               ((const struct duration *)a)->ns == ((const struct duration *)b)->ns;
    case FIELD_OBJECT: {
        const void *x = *(const void *const *)a, *y = *(const void *const *)b;
        /* The spec of a kind is written as {} when it is absent. */
        return x && y ? same_struct(field->schema, x, y) : x == y || strcmp(field->name, "spec") == 0;
    }
    case FIELD_OBJECT_LIST:
    case FIELD_STRING_LIST:
    case FIELD_ASN_LIST:
        return same_lists(field, a, b);
    case FIELD_STRING_MAP:
        return same_map(a, b);
    case FIELD_BYTE_MAP:
    case FIELD_IGNORED:
        return true;
    }
    return false;
}

static bool same_struct(const struct schema *schema, const void *a, const void *b) {
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];

        if (!same_member(field, (const char *)a + field->offset, (const char *)b + field->offset)) {
            print_error("%s differs\n", field->name);
            return false;
        }
    }
    return true;
}

static bool same_meta(const struct meta *a, const struct meta *b) {
    return same_text(a->name, b->name) && same_text(a->name_space, b->name_space) &&
           same_text(a->generate_name, b->generate_name) && same_text(a->uid, b->uid) &&
           a->resource_version == b->resource_version && a->generation == b->generation &&
           a->creation_ms == b->creation_ms && same_map(&a->labels, &b->labels) &&
           same_map(&a->annotations, &b->annotations);
}

/* A stored Secret has values instead of data and stringData. */
static void fill_secret(struct arena *arena, struct secret *secret) {
    size_t count = any(4);
    struct secret_value *values = make_array(arena, count, sizeof *values);

    memset(&secret->string_data, 0, sizeof secret->string_data);
    for (size_t i = 0; i < count; i++) {
        values[i] = (struct secret_value){.key = arena_printf(arena, "key%zu", i),
                                          .fingerprint = "0123456789abcdef",
                                          .version = any(1000) + 1,
                                          .size = (uint32_t)any(100000),
                                          .modified_ms = (int64_t)any(1000000000) * 1000};
    }
    secret->values = (struct list){.count = count, .items = values};
}

static bool same_values(const struct secret *a, const struct secret *b) {
    const struct secret_value *x = a->values.items, *y = b->values.items;
    bool same = a->values.count == b->values.count;

    for (size_t i = 0; same && i < a->values.count; i++) {
        same = same_text(x[i].key, y[i].key) && same_text(x[i].fingerprint, y[i].fingerprint) &&
               x[i].version == y[i].version && x[i].size == y[i].size && x[i].modified_ms == y[i].modified_ms;
    }
    return same;
}

static struct object *any_object(struct arena *arena, enum kind kind) {
    const struct kind_info *info = kind_info(kind);
    struct object *object = make_array(arena, 1, sizeof *object);

    object->kind = kind;
    object->body = make_array(arena, 1, info->body->size);
    fill_struct(arena, info->body, object->body);
    if (kind == KIND_SECRET) {
        fill_secret(arena, object->body);
    }
    object->meta = (struct meta){
        .name = any(2) ? arena_printf(arena, "n%s", any_text(arena)) : NULL,
        .generate_name = any(2) ? "gen-" : NULL,
        .name_space = info->namespaced ? "default" : NULL,
        .uid = any(2) ? "0b6f7a4e-3a0e-4a6e-9d36-5d7d0f0f9a11" : NULL,
        .resource_version = any(2) ? any(UINT64_MAX) + 1 : 0,
        .generation = (int64_t)any(3),
        .creation_ms = any(2) ? (int64_t)any(4000000000) * 1000 : 0,
        .labels = any_map(arena),
        .annotations = any_map(arena),
    };
    return object;
}

static void what_is_encoded_decodes_to_the_same(void **state) {
    struct fixture *f = *state;
    struct buf second = BUF_INIT;

    random_state = 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < KIND_COUNT * OBJECTS_PER_KIND; i++) {
        struct object *object, *again = NULL;

        fixture_clear(f);
        object = any_object(&f->arena, (enum kind)(i % KIND_COUNT));
        f->object = object;
        (void)encoded(f);
        if (codec_decode_stored(object->kind, f->out.data, f->out.len, &f->other, &again, &f->err) < 0) {
            fail_msg("%s: %s", f->err.text, f->out.data);
        } else {
            assert_true(same_meta(&object->meta, &again->meta));
            assert_true(same_struct(kind_info(object->kind)->body, object->body, again->body));
            assert_true(object->kind != KIND_SECRET || same_values(object->body, again->body));
            buf_clear(&second);
            codec_encode(again, &second);
            assert_string_equal(f->out.data, second.data);
        }
    }
    buf_done(&second);
}

/* Our own text needs no validation, and tolerates what a newer version may have written. */
static void stored_bodies_are_read_leniently(void **state) {
    static const char text[] =
        "{\"apiVersion\":\"x\",\"future\":1,\"metadata\":{\"name\":\"UPPER..\",\"later\":[]},"
        "\"spec\":{\"peerIP\":\"nonsense\",\"newField\":{}}}";
    struct fixture *f = *state;

    fixture_clear(f);
    assert_int_equal(codec_decode_stored(KIND_BGPPEER, text, sizeof text - 1, &f->arena, &f->object, &f->err),
                     0);
    assert_string_equal(f->object->meta.name, "UPPER..");
    assert_string_equal(peer_spec(f)->peer_ip, "nonsense");
}

static void damaged_stored_bodies_are_refused(void **state) {
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "null",
                                        "{\"spec\":[]}",
                                        "{\"spec\":{\"asNumber\":\"x\"}}",
                                        "{\"metadata\":{\"resourceVersion\":\"x\"}}",
                                        "{\"metadata\":1}"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct object *object = NULL;

        fixture_clear(f);
        assert_int_equal(
            codec_decode_stored(KIND_BGPPEER, texts[i], strlen(texts[i]), &f->arena, &object, &f->err), -1);
        assert_null(object);
        assert_refused(f, ERR_CORRUPT, "the stored BGPPeer");
    }
}

static void the_body_leaves_metadata_out(void **state) {
    struct fixture *f = *state;

    assert_int_equal(decode_json(f, KIND_NODE,
                                 "{\"metadata\":{\"name\":\"n\",\"labels\":{\"a\":\"b\"}},\"spec\":{\"bgp\":"
                                 "{\"ipv4Address\":\"10.0.0.1/24\"}},\"status\":{}}"),
                     0);
    codec_encode_body(f->object, &f->out);
    assert_string_equal(f->out.data, "{\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.1/24\"}},\"status\":{}}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_decodes_to_the_same),
        cmocka_unit_test(stored_bodies_are_read_leniently),
        cmocka_unit_test(damaged_stored_bodies_are_refused),
        cmocka_unit_test(the_body_leaves_metadata_out),
    };
    return cmocka_run_group_tests_name("codec: round trips", tests, fixture_setup, fixture_teardown);
}
