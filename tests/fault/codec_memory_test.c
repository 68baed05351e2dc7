/*
 * Memory runs out at every place where the codec asks for some, one after the other: each call answers
 * ERR_NO_MEMORY or succeeds in spite of it, leaks nothing, and works again afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdbool.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/causes.h"
#include "codec.h"

#define ALLOCATIONS_MAX 5000 /* none of the bodies needs more */

/* One attempt with the allocation after `successes` failing; -1 with *err. */
typedef int attempt(struct err *err);

static int decode(enum kind kind, enum codec_syntax syntax, enum codec_unknown unknown, const char *text,
                  struct err *err) {
    static struct causes causes;
    struct codec_options options = {.kind = kind, .syntax = syntax, .unknown = unknown, .name_space = NULL};
    struct advice advice;
    struct arena arena;
    struct object *object = NULL;
    int failed;

    options.name_space = kind == KIND_SECRET ? "default" : NULL;
    arena_init(&arena, 0);
    causes_init(&causes, &arena);
    advice_init(&advice, &arena);
    failed = codec_decode(&options, text, strlen(text), &arena, &object, &causes, &advice, err);
    arena_done(&arena);
    return failed;
}

static int decode_peer(struct err *err) {
    return decode(
        KIND_BGPPEER, CODEC_JSON, CODEC_STRICT,
        "{\"metadata\":{\"name\":\"p\",\"labels\":{\"b\":\"1\",\"a\":\"2\"}},\"spec\":{\"peerIP\":\"192.0.2."
        "1\","
        "\"asNumber\":\"1.10\",\"nodeSelector\":\"a == 'b'\",\"filters\":[\"x\"],\"keepaliveTime\":\"20s\","
        "\"password\":{\"secretKeyRef\":{\"name\":\"n\",\"key\":\"k\"}}}}",
        err);
}

static int decode_duplicates(struct err *err) {
    return decode(
        KIND_BGPPEER, CODEC_JSON, CODEC_WARN,
        "{\"metadata\":{\"name\":\"p\"},\"x\":[{\"a\":1,\"a\":2}],\"spec\":{\"node\":\"n\",\"node\":\"m\"}}",
        err);
}

static int decode_filter_yaml(struct err *err) {
    return decode(KIND_BGPFILTER, CODEC_YAML, CODEC_STRICT,
                  "metadata: {name: f}\nspec:\n  exportV4:\n  - &r {cidr: 10.0.0.0/8, matchOperator: In, "
                  "action: Accept}\n"
                  "  - *r\n  - {<<: *r, action: \"Reject\"}\n  - {asPathPrefix: [1, 2], action: Accept}\n",
                  err);
}

static int decode_secret(struct err *err) {
    return decode(
        KIND_SECRET, CODEC_JSON, CODEC_STRICT,
        "{\"metadata\":{\"name\":\"s\",\"annotations\":{\"kubectl.kubernetes.io/last-applied-configuration\":"
        "\"{\\\"kind\\\":\\\"Secret\\\",\\\"data\\\":{\\\"a\\\":\\\"eA==\\\"}}\",\"x\":\"y\"}},\"data\":{"
        "\"a\":"
        "\"aHVudGVyMg==\"},\"stringData\":{\"b\":\"c\"}}",
        err);
}

static int decode_secret_protobuf(struct err *err) {
    static const char body[] =
        "k8s\0\x12\x16\x0a\x03\x0a\x01s\x12\x06\x0a\x01k\x12\x01v\x22\x07\x0a\x01q\x12\x02"
        "xy";
    static struct causes causes;
    struct codec_options options = {.kind = KIND_SECRET, .syntax = CODEC_PROTOBUF, .name_space = "default"};
    struct advice advice;
    struct arena arena;
    struct object *object = NULL;
    int failed;

    arena_init(&arena, 0);
    causes_init(&causes, &arena);
    advice_init(&advice, &arena);
    failed = codec_decode(&options, body, sizeof body - 1, &arena, &object, &causes, &advice, err);
    arena_done(&arena);
    return failed;
}

static int decode_stored_secret(struct err *err) {
    static const char text[] =
        "{\"metadata\":{\"name\":\"s\",\"annotations\":{\"bgppeerd.io/values\":\"{\\\"k\\\":{"
        "\\\"fingerprint\\\":\\\"00\\\",\\\"size\\\":1,\\\"version\\\":1,\\\"modified\\\":"
        "\\\"2026-11-23T19:00:00Z\\\"}}\"}},\"data\":{\"k\":\"KipyZWRhY3RlZCoq\"}}";
    struct arena arena;
    struct object *object = NULL;
    struct buf out = BUF_INIT;
    int failed;

    arena_init(&arena, 0);
    failed = codec_decode_stored(KIND_SECRET, text, sizeof text - 1, &arena, &object, err);
    if (failed == 0) {
        codec_encode(object, &out);
        failed = buf_failed(&out) ? err_no_memory(err) : 0;
    }
    buf_done(&out);
    arena_done(&arena);
    return failed;
}

static int patch(enum patch_type type, const char *text, struct err *err) {
    static const char document[] = "{\"metadata\":{\"name\":\"s\"},\"data\":{\"k\":\"eA==\"},\"l\":[1,2]}";
    struct buf out = BUF_INIT;
    int failed = codec_patch(
        &(struct patch){
            .type = type, .kind = KIND_SECRET, .syntax = CODEC_JSON, .text = text, .len = strlen(text)},
        document, sizeof document - 1, &out, err);

    buf_done(&out);
    return failed;
}

static int patch_merge(struct err *err) {
    return patch(PATCH_STRATEGIC, "{\"$retainKeys\":[],\"data\":{\"a\":{\"b\":{\"c\":\"d\"}},\"k\":null}}",
                 err);
}

static int patch_json(struct err *err) {
    return patch(
        PATCH_JSON,
        "[{\"op\":\"test\",\"path\":\"/l/0\",\"value\":1},{\"op\":\"add\",\"path\":\"/l/"
        "-\",\"value\":{\"x\":[1]}},"
        "{\"op\":\"copy\",\"from\":\"/l\",\"path\":\"/m\"},{\"op\":\"move\",\"from\":\"/m/2\",\"path\":\"/"
        "n\"},"
        "{\"op\":\"replace\",\"path\":\"/n/x\",\"value\":\"y\"},{\"op\":\"remove\",\"path\":\"/data/k\"}]",
        err);
}

static int split(struct err *err) {
    static const char text[] =
        "kind: List\nitems:\n- {kind: Node, metadata: {name: a}}\n---\nkind: Node\nmetadata: {name: b}\n";
    struct codec_document *documents;
    struct arena arena;
    size_t count;
    int failed;

    arena_init(&arena, 0);
    failed = codec_split(CODEC_YAML, text, sizeof text - 1, 10, &arena, &documents, &count, err);
    arena_done(&arena);
    return failed;
}

/* Every way that a document can take. No fate may be another one for want of memory. */
static int import(struct err *err) {
    static const char text[] =
        "- {kind: NodeList, apiVersion: projectcalico.org/v3, items: [{metadata: {name: a, uid: u, "
        "resourceVersion: '7'}}]}\n"
        "- kind: BGPPeer\n  apiVersion: crd.projectcalico.org/v1\n  metadata:\n    name: p\n    labels: {b: "
        "c}\n    annotations:\n"
        "      projectcalico.org/metadata: '{\"labels\":{\"x\":\"y\"},\"annotations\":{\"z\":\"1\"}}'\n"
        "  spec: {password: {secretKeyRef: {name: s, key: k}}}\n"
        "- kind: Node\n  apiVersion: v1\n  metadata:\n    name: k\n    labels: {rack: r}\n    annotations:\n"
        "      projectcalico.org/IPv4Address: 192.0.2.1/24\n      projectcalico.org/labels: '{\"l\":\"1\"}'\n"
        "- {kind: Secret, apiVersion: v1, metadata: {name: s, namespace: x}, stringData: {k: v}}\n"
        "- {kind: Pod, apiVersion: v1, metadata: {name: q}}\n"
        "- {kind: Node, apiVersion: projectcalico.org/v3, metadata: {name: a}}\n===\n{}\n";
    static const enum codec_import_fate fates[] = {IMPORT_TAKEN,   IMPORT_TAKEN, IMPORT_TAKEN,  IMPORT_TAKEN,
                                                   IMPORT_SKIPPED, IMPORT_BAD,   IMPORT_SKIPPED};
    struct codec_import *items = NULL;
    struct arena arena;
    size_t count = 0;

    arena_init(&arena, 0);
    int failed =
        codec_import(CODEC_YAML, IMPORT_ANY, text, sizeof(text) - 1, "default", &arena, &items, &count, err);
    if (failed == 0 && count != sizeof(fates) / sizeof(fates[0])) {
        failed = err_set(err, ERR_INTERNAL, "%zu documents", count);
    }
    for (size_t i = 0; failed == 0 && i < count; i++) {
        if (items[i].fate != fates[i] || (fates[i] == IMPORT_TAKEN) != (items[i].json != NULL)) {
            failed = err_set(err, ERR_INTERNAL, "document %zu: %s", i + 1,
                             items[i].why != NULL ? items[i].why : "");
        }
    }
    arena_done(&arena);
    return failed;
}

static int delete_options(struct err *err) {
    static const char text[] = "k8s\0\x12\x10\x12\x07\x0a\x01u\x12\x02"
                               "12\x22\x00*\x03"
                               "All";
    struct delete_options options;
    struct arena arena;
    int failed;

    arena_init(&arena, 0);
    failed = codec_decode_delete_options(CODEC_PROTOBUF, text, sizeof text - 1, &arena, &options, err);
    arena_done(&arena);
    return failed;
}

static void every_allocation_may_fail(void **state) {
    static attempt *const attempts[] = {
        decode_peer,          decode_duplicates, decode_filter_yaml, decode_secret, decode_secret_protobuf,
        decode_stored_secret, patch_merge,       patch_json,         split,         import,
        delete_options};

    (void)state;
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        struct err err = ERR_INIT;
        long n = 0, failures = 0;

        if (attempts[i](&err) < 0) {
            fail_msg("attempt %zu without a failure: %s", i, err.text);
        }
        for (; n < ALLOCATIONS_MAX; n++) {
            int failed;
            bool refused;

            err_clear(&err);
            base_alloc_fail_after(n);
            failed = attempts[i](&err);
            refused = base_alloc_failed();
            base_alloc_fail_after(-1);
            if (!refused) {
                assert_int_equal(failed, 0);
                break;
            }
            /* A rule that cannot be checked is a cause that says so, never a pass. */
            if (failed < 0 && err.code != ERR_NO_MEMORY && !strstr(err.text, "memory")) {
                fail_msg("attempt %zu, allocation %ld: code %d: %s", i, n, (int)err.code, err.text);
            }
            failures += failed < 0;
        }
        print_message("attempt %zu: %ld allocations, %ld failures\n", i, n, failures);
        assert_in_range(n, 5, ALLOCATIONS_MAX - 1);
        assert_true(failures > 0);
    }
}

static int start(void **state) {
    struct err err = ERR_INIT;

    (void)state;
    return codec_start(&err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("codec: memory runs out", tests, start, NULL);
}
