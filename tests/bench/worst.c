/*
 * The parsers and the checks behind them, each on the inputs of its standard input, for
 * tests/http/worst_test.py, which has valgrind count the instructions of each call of measured().
 *
 *     worst     reads cases: a line "WAY LENGTH", then LENGTH bytes; prints a line for each: what came of it
 *
 * One thread does the work.
 */
#include <unistd.h>

#include "base/log.h"
#include "base/number.h"
#include "fleet.h"
#include "objects/labelselector.h"
#include "request/etag.h"
#include "request/request.h"
#include "selector.h"
#include "state.h"

#define INPUT_MAX (2 * 1024 * 1024)
#define SECRETS   "default"

/* What the cases work on. */
static struct {
    char dir[32];
    struct store *store;
    struct vault *vault;
    struct state *state;
} world;

/* One input, and its arena. */
struct input {
    const char *text; /* ends with a NUL */
    size_t len;
    struct arena arena;
    struct err err;
};

static int decode_as(struct input *input, enum kind kind, enum codec_syntax syntax, struct object **ret) {
    const struct codec_options options = {.syntax = syntax,
                                          .unknown = CODEC_WARN,
                                          .kind = kind,
                                          .name_space = kind == KIND_SECRET ? SECRETS : NULL};
    static struct causes causes;
    static struct advice advice;
    causes_init(&causes, &input->arena);
    advice_init(&advice, &input->arena);
    return codec_decode(&options, input->text, input->len, &input->arena, ret, &causes, &advice, &input->err);
}

/* Decode; what is accepted is encoded, and read as if it were stored. */
static int run_decode(struct input *input, enum kind kind, enum codec_syntax syntax) {
    struct object *object = NULL, *again = NULL;
    struct buf out = BUF_INIT;
    int result = decode_as(input, kind, syntax, &object);
    if (result == 0) {
        codec_encode(object, &out);
        result = codec_decode_stored(kind, out.data, out.len, &input->arena, &again, &input->err);
    }
    buf_done(&out);
    return result;
}

static int run_patch(struct input *input, enum patch_type type, enum codec_syntax syntax) {
    static const char DOCUMENT[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"},\"data\":{},\"x\":[]}";
    const struct patch patch = {
        .type = type, .kind = KIND_SECRET, .syntax = syntax, .text = input->text, .len = input->len};
    struct buf out = BUF_INIT;
    int result = codec_patch(&patch, DOCUMENT, strlen(DOCUMENT), &out, &input->err);
    buf_done(&out);
    return result;
}

static int run_split(struct input *input, enum codec_syntax syntax) {
    struct codec_document *documents;
    size_t count;
    return codec_split(syntax, input->text, input->len, 1000, &input->arena, &documents, &count, &input->err);
}

static int run_review(struct input *input, enum codec_syntax syntax) {
    struct access_review_form form;
    return codec_decode_access_review(syntax, input->text, input->len, &input->arena, &form, &input->err);
}

static int run_delete_options(struct input *input, enum codec_syntax syntax) {
    struct delete_options options;
    return codec_decode_delete_options(syntax, input->text, input->len, &input->arena, &options, &input->err);
}

static int run_token(struct input *input, enum codec_syntax syntax) {
    struct token_form form;
    return codec_decode_token(syntax, input->text, input->len, &input->arena, &form, &input->err);
}

static const struct label LABELS[] = {{"a", "b"}, {"rack", "r1"}};
static const struct label_set LABEL_SET = {.count = 2, .items = LABELS};

static int run_selector(struct input *input) {
    struct selector *selector = NULL;
    int result = selector_parse(input->text, input->len, &selector, &input->err);
    if (result == 0) {
        (void)selector_matches(selector, &LABEL_SET);
    }
    selector_free(selector);
    return result;
}

static int run_label_selector(struct input *input) {
    struct labelselector selector;
    int result = labelselector_parse(input->text, &input->arena, &selector, &input->err);
    if (result == 0) {
        (void)labelselector_matches(&selector, &LABEL_SET);
    }
    return result;
}

static int run_query(struct input *input) {
    static struct request request;
    request = (struct request){.uri = input->text, .uri_len = input->len};
    arena_init(&request.arena, 0);
    int result = request_parse_query(&request, &input->err);
    arena_done(&request.arena);
    return result;
}

static int run_etag(struct input *input) {
    const char *first;
    size_t len;
    (void)etag_list_first(input->text, &first, &len);
    return etag_list_has(input->text, "nothing", 7) ? 0 : -1;
}

static int run_duration(struct input *input) {
    int64_t ns;
    return duration_parse(input->text, input->len, &ns) ? 0 : -1;
}

/* The subject's CN, then its Os, a line each. */
static int run_subject(struct input *input) {
    char *text = must_have(arena_strdup(&input->arena, input->text));
    const char **groups = must_have(arena_array(&input->arena, input->len + 1, sizeof(*groups)));
    size_t count = 0;
    for (char *end = strchr(text, '\n'); end != NULL; end = strchr(end, '\n')) {
        *end++ = '\0';
        groups[count++] = end;
    }
    struct principal principal;
    return principal_from_certificate(text, groups, count, &principal, &input->err);
}

/* What must be found out: each byte compared with each other one. */
static int run_square(struct input *input) {
    volatile unsigned equal = 0;
    for (size_t i = 0; i < input->len; i++) {
        for (size_t k = 0; k < i; k++) {
            equal += input->text[i] == input->text[k];
        }
    }
    return equal > input->len * input->len ? -1 : 0;
}

/* A Secret through sealing: as the committer would, but on this thread and stored nowhere. */
static int run_secret(struct input *input) {
    struct object *object = NULL;
    struct arena object_arena = input->arena;
    if (decode_as(input, KIND_SECRET, CODEC_JSON, &object) != 0) {
        return -1;
    }
    static struct write write;
    struct arena arena;
    struct picture *before, *after;
    struct node_set *affected;
    arena_init(&arena, 0);
    object_arena = input->arena; /* it holds the object, and is taken over */
    arena_init(&input->arena, 0);
    write = (struct write){.op = WRITE_CREATE,
                           .kind = KIND_SECRET,
                           .object = object,
                           .object_arena = &object_arena,
                           .arena = &arena};
    int result = state_preview(world.state, &write, &before, &after, &affected, &input->err);
    if (result == 0) {
        node_set_free(affected);
        picture_unref(before);
        picture_unref(after);
        record_unref(write.record);
    }
    arena_done(&object_arena);
    arena_done(&arena);
    return result;
}

static int run_way(const char *way, struct input *input) {
    static const struct {
        const char *name;
        int (*run)(struct input *input, enum codec_syntax syntax);
    } FORMS[] = {{"split", run_split},
                 {"review", run_review},
                 {"delete-options", run_delete_options},
                 {"token", run_token}};
    static const struct {
        const char *name;
        int (*run)(struct input *input);
    } TEXTS[] = {
        {"selector", run_selector}, {"label-selector", run_label_selector},
        {"query", run_query},       {"etag", run_etag},
        {"duration", run_duration}, {"subject", run_subject},
        {"secret", run_secret},     {"square", run_square},
    };
    static const struct {
        const char *name;
        enum patch_type type;
    } PATCHES[] = {
        {"merge-patch", PATCH_MERGE}, {"json-patch", PATCH_JSON}, {"strategic-patch", PATCH_STRATEGIC}};
    const char *colon = strchr(way, ':');
    size_t len = colon == NULL ? strlen(way) : (size_t)(colon - way);
    enum codec_syntax syntax = colon == NULL                     ? CODEC_JSON
                               : strcmp(colon, ":yaml") == 0     ? CODEC_YAML
                               : strcmp(colon, ":protobuf") == 0 ? CODEC_PROTOBUF
                                                                 : CODEC_JSON;
#define IS(row) (strlen((row).name) == len && strncmp((row).name, way, len) == 0)
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        if (IS(*kind_info((enum kind)kind))) {
            return run_decode(input, (enum kind)kind, syntax);
        }
    }
    for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++) {
        if (IS(FORMS[i])) {
            return FORMS[i].run(input, syntax);
        }
    }
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        if (IS(TEXTS[i])) {
            return TEXTS[i].run(input);
        }
    }
    for (size_t i = 0; i < sizeof(PATCHES) / sizeof(PATCHES[0]); i++) {
        if (IS(PATCHES[i])) {
            return run_patch(input, PATCHES[i].type, syntax);
        }
    }
#undef IS
    fprintf(stderr, "there is no way \"%s\"\n", way);
    exit(2);
}

/* What valgrind counts: never inlined, so that it has a name. */
__attribute__((noinline, used)) int measured(const char *way, struct input *input);
int measured(const char *way, struct input *input) {
    return run_way(way, input);
}

static void open_world(void) {
    struct err err = ERR_INIT;
    snprintf(world.dir, sizeof(world.dir), "/tmp/bgppeerd-worst-XXXXXX");
    must_have(mkdtemp(world.dir));
    const struct store_options options = {.dir = world.dir};
    struct vault_options vault = {.data_dir = world.dir};
    must(random_start(&err), &err);
    must(codec_start(&err), &err);
    must(store_open(&options, &world.store, &err), &err);
    must(state_open_vault(world.store, &vault, &world.vault, &err), &err);
    const struct state_options state = {.secret_namespace = SECRETS, .vault = world.vault};
    must(state_open(world.store, &state, &world.state, &err), &err);
}

static void close_world(void) {
    static const char *const FILES[] = {"bgppeerd.db", "bgppeerd.db-wal", "bgppeerd.db-shm",
                                        "lock",        "vault.key",       "high-water"};
    char path[64];
    state_close(world.state);
    vault_close(world.vault);
    store_close(world.store);
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", world.dir, FILES[i]);
        (void)unlink(path);
    }
    (void)rmdir(world.dir);
}

int main(void) {
    static char text[INPUT_MAX + 1];
    char way[64];
    size_t len;
    log_start(STDERR_FILENO, LOG_ERROR, LOG_KEY_VALUE);
    open_world();
    while (scanf("%63s %zu", way, &len) == 2 && getchar() == '\n' && len <= INPUT_MAX &&
           fread(text, 1, len, stdin) == len) {
        struct input input = {.text = text, .len = len, .err = ERR_INIT};
        text[len] = '\0';
        arena_init(&input.arena, 0);
        int result = measured(way, &input);
        arena_done(&input.arena);
        printf("%d %s\n", result, input.err.text);
    }
    close_world();
    log_stop();
    return 0;
}
