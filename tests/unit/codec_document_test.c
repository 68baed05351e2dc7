/*
 * What stands around a kind's body: the header and the path, metadata, several documents in one body,
 * DeleteOptions; and what the tables become besides: printer columns and schemas.
 */
#include <jansson.h>

#include "codec_fixture.h"

static int decode_at(struct fixture *f, enum kind kind, const char *name, const char *name_space,
                     const char *text) {
    struct codec_options options = {.kind = kind, .name = name, .name_space = name_space};

    return decode_with(f, &options, text, strlen(text));
}

static void header_must_fit_the_path(void **state) {
    struct fixture *f = *state;

    assert_int_equal(decode_json(f, KIND_NODE, "{\"metadata\":{\"name\":\"n\"}}"), 0);
    assert_int_equal(
        decode_json(f, KIND_NODE, "{\"kind\":\"\",\"apiVersion\":null,\"metadata\":{\"name\":\"n\"}}"), 0);
    assert_int_equal(decode_json(f, KIND_NODE, "{\"kind\":\"BGPPeer\",\"metadata\":{\"name\":\"n\"}}"), -1);
    assert_refused(
        f, ERR_BAD_REQUEST,
        "the body has kind \"BGPPeer\" and apiVersion \"\", but this path takes Node of apiVersion "
        "projectcalico.org/v3; send it to /apis/projectcalico.org/v3/bgppeers");
    assert_int_equal(decode_json(f, KIND_NODE, "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{}}"),
                     -1);
    assert_refused(f, ERR_BAD_REQUEST,
                   "the body has kind \"Node\" and apiVersion \"v1\", but this path takes Node of apiVersion "
                   "projectcalico.org/v3; it is Kubernetes' own Node: send it to "
                   "/apis/bgppeerd.io/v1/imports, which reads Calico's annotations in it, or write "
                   "apiVersion: projectcalico.org/v3");
    assert_int_equal(decode_json(f, KIND_NODE, "{\"kind\":7,\"metadata\":{\"name\":\"n\"}}"), -1);
    assert_refused(f, ERR_BAD_REQUEST, "kind: expected a string, got an integer");
}

static void name_must_fit_the_path(void **state) {
    struct fixture *f = *state;

    assert_int_equal(decode_at(f, KIND_NODE, "n1", NULL, "{\"metadata\":{\"name\":\"n2\"}}"), -1);
    assert_refused(f, ERR_BAD_REQUEST, "the name of the object (n2) does not match the name on the URL (n1)");
    assert_true(has_cause(f, "metadata.name"));
    assert_int_equal(decode_at(f, KIND_NODE, "n1", NULL, "{}"), 0);
    assert_string_equal(f->object->meta.name, "n1");
    assert_int_equal(decode_at(f, KIND_SECRET, "s", "a", "{\"metadata\":{\"namespace\":\"b\"}}"), -1);
    assert_refused(f, ERR_BAD_REQUEST,
                   "the namespace of the object (b) does not match the namespace on the URL (a)");
    assert_int_equal(decode_at(f, KIND_SECRET, "s", NULL, "{\"metadata\":{\"namespace\":\"b\"}}"), 0);
    assert_string_equal(f->object->meta.name_space, "b");
    assert_int_equal(decode_at(f, KIND_NODE, "n", NULL, "{\"metadata\":{\"namespace\":\"b\"}}"), 0);
    assert_null(f->object->meta.name_space);
    assert_true(has_advice(f, "metadata.namespace is not kept: a Node has no namespace"));
    assert_int_equal(decode_at(f, KIND_NODE, NULL, NULL, "{\"metadata\":{\"generateName\":\"n-\"}}"), 0);
    assert_null(f->object->meta.name);
    assert_string_equal(f->object->meta.generate_name, "n-");
    assert_int_equal(decode_at(f, KIND_NODE, NULL, NULL, "{}"), -1);
    assert_int_equal(f->err.code, ERR_INVALID);
    assert_true(has_cause(f, "metadata.name"));
}

static void reads_metadata(void **state) {
    struct fixture *f = *state;

    assert_int_equal(
        decode_json(
            f, KIND_NODE,
            "{\"metadata\":{\"name\":\"n\",\"uid\":\"u-1\",\"resourceVersion\":\"18446744073709551615\","
            "\"generation\":3,\"creationTimestamp\":\"2026-11-23T20:00:00+01:00\",\"managedFields\":[{}],"
            "\"selfLink\":\"/x\",\"deletionTimestamp\":null,\"deletionGracePeriodSeconds\":0,"
            "\"clusterName\":\"\",\"finalizers\":[\"a/b\"],\"ownerReferences\":[{}]}}"),
        0);
    assert_true(f->object->meta.resource_version == UINT64_MAX);
    assert_int_equal(f->object->meta.generation, 3);
    assert_string_equal(f->object->meta.uid, "u-1");
    assert_true(f->object->meta.creation_ms == 1795460400000);
    assert_true(has_advice(f, "metadata.finalizers is not kept: nothing here acts on it"));
    assert_true(has_advice(f, "metadata.ownerReferences is not kept: nothing here acts on it"));
    assert_string_equal(
        encoded(f),
        "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n\",\"uid\":"
        "\"u-1\",\"resourceVersion\":\"18446744073709551615\",\"generation\":3,\"creationTimestamp\":"
        "\"2026-11-23T19:00:00Z\"},\"spec\":{}}");
    assert_int_equal(
        decode_json(f, KIND_NODE,
                    "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"\",\"finalizers\":[]}}"),
        0);
    assert_false(has_advice(f, "metadata.finalizers is not kept: nothing here acts on it"));
    assert_int_equal(decode_json(f, KIND_NODE, "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"12x\"}}"),
                     -1);
    assert_true(has_cause(f, "metadata.resourceVersion"));
    assert_int_equal(
        decode_json(f, KIND_NODE, "{\"metadata\":{\"name\":\"n\",\"creationTimestamp\":\"today\"}}"), -1);
    assert_refused(f, ERR_BAD_REQUEST, "metadata.creationTimestamp: expected a time such as");
    assert_int_equal(decode_json(f, KIND_NODE, "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":12}}"), -1);
    assert_refused(f, ERR_BAD_REQUEST, "metadata.resourceVersion: expected a string, got an integer");
}

static int split(struct fixture *f, enum codec_syntax syntax, const char *text, size_t max,
                 struct codec_document **ret, size_t *ret_count) {
    fixture_clear(f);
    return codec_split(syntax, text, strlen(text), max, &f->arena, ret, ret_count, &f->err);
}

/* A request without a body has no bytes to point to. */
static void no_bytes_at_all_are_no_document(void **state) {
    struct fixture *f = *state;
    struct codec_document *documents = NULL;
    size_t count = 0;

    for (enum codec_syntax syntax = CODEC_JSON; syntax <= CODEC_PROTOBUF; syntax++) {
        struct codec_options options = {.syntax = syntax, .kind = KIND_SECRET, .name_space = "default"};
        struct object *object = NULL;

        fixture_clear(f);
        assert_int_equal(codec_decode(&options, NULL, 0, &f->arena, &object, &f->causes, &f->advice, &f->err),
                         -1);
        assert_int_equal(f->err.code, ERR_BAD_REQUEST);
        if (syntax != CODEC_PROTOBUF) {
            fixture_clear(f);
            assert_int_equal(codec_split(syntax, NULL, 0, 10, &f->arena, &documents, &count, &f->err), -1);
            assert_int_equal(f->err.code, ERR_BAD_REQUEST);
        }
    }
}

static void splits_documents(void **state) {
    static const struct {
        enum codec_syntax syntax;
        const char *text;
    } same[] = {
        {CODEC_YAML,
         "---\nkind: Node\nmetadata: {name: a}\n---\n---\napiVersion: projectcalico.org/v3\nkind: BGPPeer\n"
         "metadata: {name: b}\n"},
        {CODEC_YAML,
         "kind: List\nitems:\n- {kind: Node, metadata: {name: a}}\n---\nkind: BGPPeerList\nitems:\n- "
         "apiVersion: projectcalico.org/v3\n  kind: BGPPeer\n  metadata: {name: b}\n"},
        {CODEC_JSON, "[{\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"}},{\"apiVersion\":\"projectcalico.org/"
                     "v3\",\"kind\":"
                     "\"BGPPeer\",\"metadata\":{\"name\":\"b\"}}]"},
        {CODEC_JSON,
         "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{\"kind\":\"Node\",\"metadata\":{\"name\":"
         "\"a\"}},"
         "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"BGPPeer\",\"metadata\":{\"name\":\"b\"}}]}"},
    };
    struct fixture *f = *state;
    struct codec_document *documents = NULL;
    size_t count = 0;

    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_int_equal(split(f, same[i].syntax, same[i].text, 2, &documents, &count), 0);
        assert_int_equal(count, 2);
        assert_int_equal(documents[0].kind, KIND_NODE);
        assert_string_equal(documents[0].json, "{\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"}}");
        assert_int_equal(documents[0].len, strlen(documents[0].json));
        assert_int_equal(documents[1].kind, KIND_BGPPEER);
        assert_non_null(strstr(documents[1].json, "\"name\":\"b\""));
        assert_int_equal(split(f, same[i].syntax, same[i].text, 1, &documents, &count), -1);
        assert_true(f->err.code == ERR_TOO_LARGE || strstr(f->err.text, "second document") != NULL);
    }
    /* What a list says about its items counts where they say nothing. */
    assert_int_equal(split(f, CODEC_JSON,
                           "{\"kind\":\"SecretList\",\"apiVersion\":\"v1\",\"items\":[{\"metadata\":{}}]}", 9,
                           &documents, &count),
                     0);
    assert_int_equal(documents[0].kind, KIND_SECRET);
    assert_true(f->arena.wipe);
}

static void refuses_to_split(void **state) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[]", "the body holds no document"},
        {"{\"kind\":\"List\",\"items\":[]}", "the body holds no document"},
        {"{\"kind\":\"List\",\"items\":7}", "items must be an array"},
        {"[{\"kind\":\"Node\",\"kind\":\"Node\"}]", "occurs twice"},
        {"[", "too early"},
    };
    struct fixture *f = *state;
    struct codec_document *documents;
    size_t count;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(split(f, CODEC_JSON, cases[i].text, 100, &documents, &count), -1);
        assert_refused(f, ERR_BAD_REQUEST, cases[i].says);
    }
}

/* What one document is not is said beside what is wrong with others. */
static void finds_faults_of_documents(void **state) {
    static const struct {
        const char *text, *about, *fault;
    } cases[] = {
        {"[{\"kind\":\"Node\"},7]", "document 2",
         "is an integer; expected an object with apiVersion and kind"},
        {"[{\"kind\":\"Node\"},[]]", "document 2",
         "is an array; expected an object with apiVersion and kind"},
        {"[{\"kind\":\"Node\"},{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"}}]",
         "document 2 (Pod \"a\")",
         "has kind \"Pod\" and apiVersion \"v1\", which this service does not know; leave it out"},
        {"[{\"kind\":\"Node\"},{\"kind\":\"BGPPeer\",\"apiVersion\":\"crd.projectcalico.org/v1\"}]",
         "document 2 (BGPPeer)",
         "has kind \"BGPPeer\" and apiVersion \"crd.projectcalico.org/v1\", which this service does not "
         "know; send it to /apis/bgppeerd.io/v1/imports, or write "
         "apiVersion: projectcalico.org/v3 (crd.projectcalico.org/v1 is how Calico keeps it in Kubernetes)"},
        {"[{\"kind\":\"Node\"},{\"kind\":\"Node\",\"apiVersion\":\"v1\"}]", "document 2 (Node)",
         "has kind \"Node\" and apiVersion \"v1\", which this service does not know; it is Kubernetes' own "
         "Node: send it to /apis/bgppeerd.io/v1/imports, which reads Calico's annotations in it, or write "
         "apiVersion: projectcalico.org/v3"},
        {"[{\"kind\":\"Node\"},{\"kind\":\"BGPPear\"}]", "document 2 (BGPPear)",
         "has kind \"BGPPear\" and apiVersion \"\", which this service does not know; did you mean "
         "\"BGPPeer\"?"},
        {"[{\"kind\":\"Node\"},{\"metadata\":{\"name\":\"x\"}}]", "document 2 (\"x\")",
         "has kind \"\" and apiVersion \"\", which this service does not know; each document needs its kind: "
         "BGPPeer, BGPConfiguration, BGPFilter, Node or Secret"},
        {"{\"kind\":\"List\",\"items\":[{\"kind\":\"Node\"},{\"kind\":\"List\",\"items\":[]}]}",
         "document 2 (List)", "has kind \"List\" and apiVersion \"\", which this service does not know"},
    };
    struct fixture *f = *state;
    struct codec_document *documents = NULL;
    size_t count = 0;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(split(f, CODEC_JSON, cases[i].text, 100, &documents, &count), 0);
        assert_int_equal(count, 2);
        assert_null(documents[0].fault);
        assert_string_equal(documents[0].about, "document 1 (Node)");
        assert_string_equal(documents[1].about, cases[i].about);
        assert_string_equal(documents[1].fault, cases[i].fault);
        assert_null(documents[1].json);
    }
}

/* Wrong types, unknown fields and broken values come together, and nothing that only follows from them. */
static void tells_every_error_at_once(void **state) {
    static const struct {
        enum kind kind;
        const char *text, *fields; /* of the causes, in their order */
    } cases[] = {
        {KIND_BGPPEER,
         "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"peerIP\":\"192.0.2.1\",\"maxRestartTime\":120,"
         "\"ttlSecurity\":300,"
         "\"nextHopMode\":\"self\",\"reachableBy\":\"nope\"}}",
         "spec.maxRestartTime spec.nextHopMode spec.ttlSecurity spec.reachableBy"},
        {KIND_BGPPEER,
         "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"peerIP\":5,\"reachableBy\":\"192.0.2.1\"}}",
         "spec.peerIP"},
        {KIND_BGPPEER,
         "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"peerIp\":\"192.0.2.1\",\"reachableBy\":\"x\"}}",
         "spec.peerIp spec.reachableBy"},
        {KIND_BGPPEER, "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"node\":1,\"nodeSelector\":\"all()\"}}",
         "spec.node spec.nodeSelector"},
        {KIND_BGPPEER, "{\"metadata\":{\"name\":\"p\"},\"spec\":[]}", "spec"},
        {KIND_BGPPEER, "{\"name\":\"p\",\"spec\":{\"filters\":[1,\"?\",\"f\"]}}",
         "name spec.filters[0] spec.filters[1]"},
        {KIND_BGPPEER, "{\"metadata\":{\"name\":false},\"spec\":{\"asNumber\":-1}}",
         "metadata.name spec.asNumber"},
        {KIND_BGPFILTER,
         "{\"metadata\":{\"name\":\"f\"},\"spec\":{\"importV4\":[7,{\"actoin\":\"Accept\"},{\"cidr\":\"x\","
         "\"matchOperator\":\"In\"}]}}",
         "spec.importV4[0] spec.importV4[1].actoin spec.importV4[2].cidr spec.importV4[2].action"},
        {KIND_NODE, "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"bgp\":{\"as\":5}}}", "spec.bgp.as"},
        {KIND_BGPCONFIGURATION,
         "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"communities\":{},\"prefixAdvertisements\":[{"
         "\"cidr\":"
         "\"192.0.2.0/24\",\"communities\":[\"named\"]}]}}",
         "spec.communities"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char fields[512] = "";
        size_t len = 0;

        assert_int_equal(decode_json(f, cases[i].kind, cases[i].text), -1);
        assert_int_equal(f->err.code, ERR_BAD_REQUEST);
        for (size_t k = 0; k < f->causes.count; k++) {
            len += (size_t)snprintf(fields + len, sizeof(fields) - len, "%s%s", k > 0 ? " " : "",
                                    f->causes.items[k].field);
            assert_non_null(strstr(f->err.text, f->causes.items[k].field));
        }
        assert_string_equal(fields, cases[i].fields);
    }
}

/* What other programs call a thing, and what stands at the wrong place. */
static void suggests_the_right_field(void **state) {
    static const struct {
        enum kind kind;
        const char *text, *says;
    } cases[] = {
        {KIND_BGPPEER, "{\"name\":\"p\"}", "unknown field \"name\", did you mean \"metadata.name\"?"},
        {KIND_BGPPEER, "{\"labels\":{}}", "unknown field \"labels\", did you mean \"metadata.labels\"?"},
        {KIND_BGPPEER, "{\"peerip\":\"192.0.2.1\"}",
         "unknown field \"peerip\", did you mean \"spec.peerIP\"?"},
        {KIND_BGPPEER, "{\"spec\":{\"peer-address\":\"192.0.2.1\"}}", "did you mean \"spec.peerIP\"?"},
        {KIND_BGPPEER, "{\"peerAddress\":\"192.0.2.1\"}", "did you mean \"spec.peerIP\"?"},
        {KIND_BGPPEER, "{\"spec\":{\"myASN\":1}}", "did you mean \"spec.localASNumber\"?"},
        {KIND_BGPPEER, "{\"spec\":{\"peerASN\":1}}", "did you mean \"spec.asNumber\"?"},
        {KIND_BGPPEER, "{\"spec\":{\"holdTime\":\"90s\"}}",
         "did you mean \"spec.keepaliveTime\"? A hold time is three keepalive times."},
        {KIND_BGPPEER, "{\"spec\":{\"bfdProfile\":\"x\"}}",
         "unknown field \"spec.bfdProfile\": BFD is not part"},
        {KIND_BGPPEER, "{\"spec\":{\"name\":\"x\"}}", "did you mean \"metadata.name\"?"},
        {KIND_NODE, "{\"spec\":{\"ipv4Address\":\"192.0.2.1\"}}", "did you mean \"spec.bgp.ipv4Address\"?"},
        {KIND_NODE, "{\"spec\":{\"asn\":1}}", "did you mean \"spec.bgp.asNumber\"?"},
        {KIND_BGPFILTER, "{\"spec\":{\"importV4\":[{\"prefix\":\"192.0.2.0/24\"}]}}",
         "did you mean \"spec.importV4[0].cidr\"?"},
        {KIND_BGPCONFIGURATION, "{\"metadata\":{\"spec\":{}}}",
         "unknown field \"metadata.spec\", did you mean \"spec\"?"},
        {KIND_BGPCONFIGURATION, "{\"serviceExternalIPs\":[]}", "did you mean \"spec.serviceExternalIPs\"?"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(decode_json(f, cases[i].kind, cases[i].text), -1);
        assert_refused(f, ERR_BAD_REQUEST, cases[i].says);
    }
}

static int delete_options(struct fixture *f, enum codec_syntax syntax, const char *bytes, size_t len,
                          struct delete_options *ret) {
    fixture_clear(f);
    return codec_decode_delete_options(syntax, bytes, len, &f->arena, ret, &f->err);
}

static void reads_delete_options(void **state) {
    static const char full[] =
        "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":30,\"propagationPolicy\""
        ":\"Background\",\"preconditions\":{\"uid\":\"u\",\"resourceVersion\":\"12\"},\"dryRun\":[\"All\"]}";
    static const char meaningless[] =
        "{\"kind\":\"\",\"preconditions\":null,\"dryRun\":null,\"orphanDependents\":false,"
        "\"ignoreStoreReadErrorWithClusterBreakingPotential\":false}";
    static const char wire[] = "k8s\0\x12\x10\x12\x07\x0a\x01u\x12\x02"
                               "12\x22\x00*\x03"
                               "All";
    static const struct {
        const char *text, *says;
    } bad[] = {{"{\"dryRun\":[\"Some\"]}", "dryRun can only hold"},
               {"{\"dryRun\":\"All\"}", "dryRun: expected an array"},
               {"{\"preconditions\":7}", "preconditions: expected an object"},
               {"{\"preconditions\":{\"uid\":7}}", "preconditions.uid: expected a string"},
               {"{\"preconditions\":{\"resourceVersion\":\"x\"}}", "must be a decimal number"},
               {"{\"dryrun\":[\"All\"]}", "unknown field \"dryrun\", did you mean \"dryRun\"?"},
               {"{\"preconditions\":{\"resourceversion\":\"1\"}}",
                "did you mean \"preconditions.resourceVersion\"?"},
               {"{\"precondition\":{},\"dry_run\":[\"All\"]}", "\"preconditions\"?"},
               {"{\"kind\":\"BGPPeer\"}", "must be DeleteOptions"},
               {"[]", "expected an object"},
               {"{", "too early"}};
    struct fixture *f = *state;
    struct delete_options options;

    assert_int_equal(delete_options(f, CODEC_JSON, "", 0, &options), 0);
    assert_true(options.uid == NULL && options.resource_version == 0 && !options.dry_run);
    assert_int_equal(delete_options(f, CODEC_JSON, full, sizeof full - 1, &options), 0);
    assert_string_equal(options.uid, "u");
    assert_true(options.resource_version == 12 && options.dry_run);
    assert_int_equal(delete_options(f, CODEC_PROTOBUF, wire, sizeof wire - 1, &options), 0);
    assert_string_equal(options.uid, "u");
    assert_true(options.resource_version == 12 && options.dry_run);
    assert_int_equal(delete_options(f, CODEC_JSON, meaningless, sizeof meaningless - 1, &options), 0);
    assert_true(options.uid == NULL && options.resource_version == 0 && !options.dry_run);
    assert_int_equal(delete_options(f, CODEC_YAML, "dryRun: []", 10, &options), 0);
    assert_false(options.dry_run);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(delete_options(f, CODEC_JSON, bad[i].text, strlen(bad[i].text), &options), -1);
        assert_refused(f, ERR_BAD_REQUEST, bad[i].says);
    }
}

/* Every column is there, in order: a scalar as it is, a list joined, an absent one null. */
static void reads_columns(void **state) {
    static const char text[] =
        "{\"metadata\":{\"name\":\"spec\",\"labels\":{\"spec\":\"}{\\\"\"}},\"spec\":{\"x\":[{\"peerIP\":1}],"
        "\"peerIP\":\"\\u00e4\\\"1\",\"asNumber\":64512,\"node\":\"n\",\"filters\":[\"a\",\"b\\\"\"]}}";
    const struct kind_info *info = kind_info(KIND_BGPPEER);
    struct fixture *f = *state;
    json_t *cells, *document = json_loads(text, 0, NULL);

    fixture_clear(f);
    assert_non_null(document);
    buf_add_char(&f->out, '[');
    assert_int_equal(codec_columns(KIND_BGPPEER, text, sizeof text - 1, &f->out, &f->err), 0);
    buf_add_char(&f->out, ']');
    cells = json_loads(f->out.data, 0, NULL);
    assert_int_equal(json_array_size(cells), info->column_count);
    for (size_t i = 0; i < info->column_count; i++) {
        const char *member = strchr(info->columns[i].path, '.') + 1;
        const json_t *value = json_object_get(json_object_get(document, "spec"), member);

        if (!value) {
            assert_true(json_is_null(json_array_get(cells, i)));
        } else if (json_is_array(value)) {
            assert_string_equal(json_string_value(json_array_get(cells, i)), "a,b\"");
        } else {
            assert_true(json_equal(value, json_array_get(cells, i)));
        }
    }
    json_decref(cells);
    json_decref(document);
    for (size_t len = 1; len < 90; len++) { /* a text that is cut off is never read beyond its end */
        char *copy = malloc(len);

        assert_non_null(copy);
        memcpy(copy, text, len);
        fixture_clear(f);
        assert_int_equal(codec_columns(KIND_BGPPEER, copy, len, &f->out, &f->err), -1);
        assert_int_equal(f->err.code, ERR_CORRUPT);
        free(copy);
    }
}

/* A column's second path, its fallback, and counts. */
static void columns_have_alternatives(void **state) {
    static const struct {
        enum kind kind;
        const char *json, *cells;
    } cases[] = {
        {KIND_BGPPEER, "{\"spec\":{}}", "[null,null,\"all()\",null,null,null]"},
        {KIND_BGPPEER, "{\"spec\":{\"node\":\"\",\"nodeSelector\":\"has(a)\",\"asNumber\":4200000000}}",
         "[null,4200000000,\"has(a)\",null,null,null]"},
        {KIND_BGPPEER, "{\"spec\":{\"node\":\"n\",\"nodeSelector\":\"has(a)\"}}",
         "[null,null,\"n\",null,null,null]"},
        {KIND_SECRET, "{\"type\":\"Opaque\"}", "[\"Opaque\",0]"},
        {KIND_SECRET, "{\"data\":{},\"type\":\"\"}", "[null,0]"},
        {KIND_SECRET, "{\"data\":{\"a\":\"x\",\"b}\\\"\":\"y\"}}", "[null,2]"},
        {KIND_BGPFILTER, "{\"spec\":{\"exportV4\":[{\"a\":[1,2]},{\"b\":{}},{}],\"importV6\":[]}}",
         "[3,0,0,0]"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_clear(f);
        buf_add_char(&f->out, '[');
        assert_int_equal(codec_columns(cases[i].kind, cases[i].json, strlen(cases[i].json), &f->out, &f->err),
                         0);
        buf_add_char(&f->out, ']');
        assert_string_equal(f->out.data, cases[i].cells);
    }
    fixture_clear(f);
    assert_int_equal(codec_columns(KIND_SECRET, "{\"data\":{1}}", 12, &f->out, &f->err), -1);
    assert_int_equal(f->err.code, ERR_CORRUPT);
}

/* Does the schema describe every field of the table, with its type? */
static void check_schema(const struct schema *schema, const json_t *json) {
    const json_t *properties = json_object_get(json, "properties");

    assert_string_equal(json_string_value(json_object_get(json, "type")), "object");
    assert_int_equal(json_object_size(properties), schema->field_count);
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        const json_t *property = json_object_get(properties, field->name);
        const json_t *required = json_object_get(json, "required");
        bool found = false;

        assert_non_null(property);
        assert_true(json_string_length(json_object_get(property, "description")) > 0);
        for (size_t j = 0; j < json_array_size(required); j++) {
            found = found || strcmp(json_string_value(json_array_get(required, j)), field->name) == 0;
        }
        assert_int_equal(found, field->required);
        if (field->type == FIELD_OBJECT) {
            check_schema(field->schema, property);
        } else if (field->type == FIELD_OBJECT_LIST) {
            check_schema(field->schema, json_object_get(property, "items"));
        } else if (field->type == FIELD_ASN) {
            assert_true(json_is_true(json_object_get(property, "x-kubernetes-int-or-string")));
        } else if (field->type == FIELD_INT) {
            assert_true(json_integer_value(json_object_get(property, "maximum")) == field->max);
        } else if (field->type == FIELD_ENUM) {
            assert_true(json_array_size(json_object_get(property, "enum")) > 0);
        }
        if (field->default_text) {
            assert_non_null(json_object_get(property, "default"));
        }
    }
}

static void writes_schemas(void **state) {
    struct fixture *f = *state;

    for (int kind = 0; kind <= KIND_COUNT; kind++) {
        const struct schema *schema =
            kind < KIND_COUNT ? kind_info((enum kind)kind)->body : codec_meta_schema();
        json_error_t error;
        json_t *json;

        fixture_clear(f);
        codec_schema(schema, &f->out);
        json = json_loads(f->out.data, JSON_REJECT_DUPLICATES, &error);
        if (!json) {
            fail_msg("%s: %s", schema->name, error.text);
        }
        check_schema(schema, json);
        json_decref(json);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_must_fit_the_path),
        cmocka_unit_test(name_must_fit_the_path),
        cmocka_unit_test(reads_metadata),
        cmocka_unit_test(no_bytes_at_all_are_no_document),
        cmocka_unit_test(splits_documents),
        cmocka_unit_test(refuses_to_split),
        cmocka_unit_test(finds_faults_of_documents),
        cmocka_unit_test(tells_every_error_at_once),
        cmocka_unit_test(suggests_the_right_field),
        cmocka_unit_test(reads_delete_options),
        cmocka_unit_test(reads_columns),
        cmocka_unit_test(columns_have_alternatives),
        cmocka_unit_test(writes_schemas),
    };
    return cmocka_run_group_tests_name("codec: documents", tests, fixture_setup, fixture_teardown);
}
