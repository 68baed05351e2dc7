/*
 * `bgppeerd import`: what another system exported, or this one. The service reads it; here its answer is
 * shown, with the fate of every document.
 */
#include <string.h>

#include "people/people.h"

struct import_settings {
    struct people_settings people;
    const char *force;
    bool plan;
    bool skip_bad;
};

static const struct option IMPORT_TABLE[] = {
    PEOPLE_OPTIONS,
    {.name = "force",
     .value = "WHAT",
     .type = OPTION_TEXT,
     .offset = offsetof(struct import_settings, force),
     .argument_only = true,
     .help =
         "Do it also when the service would refuse it: disruptive, frozen (admins), or both with a comma"},
    {.name = "plan",
     .type = OPTION_FLAG,
     .offset = offsetof(struct import_settings, plan),
     .argument_only = true,
     .help = "Say what would become of every document and of the sessions, and store nothing"},
    {.name = "skip-bad",
     .type = OPTION_FLAG,
     .offset = offsetof(struct import_settings, skip_bad),
     .argument_only = true,
     .help = "Leave out what is not understood; without it, nothing is stored then"},
};

static const struct {
    const char *fate;
    enum mark mark;
} FATES[] = {
    {"created", MARK_ADD},   {"updated", MARK_CHANGE}, {"unchanged", MARK_FAINT},
    {"skipped", MARK_FAINT}, {"bad", MARK_WARN},
};
#define FATE_COUNT (sizeof(FATES) / sizeof(FATES[0]))

static enum mark mark_of_fate(const char *fate) {
    for (size_t i = 0; i < FATE_COUNT; i++) {
        if (strcmp(FATES[i].fate, fate) == 0) {
            return FATES[i].mark;
        }
    }
    return MARK_NONE;
}

/* "113 documents: 110 created, 3 skipped" */
static void show_totals(struct people *people, const json_t *totals) {
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s",
               json_count_text(people, json_number(totals, "documents"), "document", "documents"));
    const char *before = ": ";
    for (size_t i = 0; i < FATE_COUNT; i++) {
        uint64_t count = json_number(totals, FATES[i].fate);
        if (count > 0) {
            buf_printf(&text, "%s%llu %s", before, (unsigned long long)count, FATES[i].fate);
            before = ", ";
        }
    }
    show_line(people, json_number(totals, "bad") > 0 ? MARK_WARN : MARK_HEAD, 0, "%s",
              text.data != NULL ? text.data : "");
    people->out.failed = people->out.failed || buf_failed(&text);
    buf_done(&text);
}

static void show_documents(struct people *people, const json_t *documents) {
    const json_t *document;
    struct show_table table;
    size_t i;
    show_table_begin(&table, people, 5, NULL);
    json_array_foreach(documents, i, document) {
        const char *name_space = json_text(people, document, "namespace");
        const char *name =
            arena_printf(&people->arena, "%s%s%s", name_space, name_space[0] != '\0' ? "/" : "",
                         json_text(people, document, "name"));
        const char *fate = json_text(people, document, "fate");
        const json_t *notes = json_object_get(document, "notes"), *note;
        size_t n;
        show_table_row(&table, mark_of_fate(fate),
                       (const char *[]){json_text(people, document, "document"),
                                        json_text(people, document, "kind"), name, fate,
                                        json_text(people, document, "why")});
        json_array_foreach(notes, n, note) {
            show_table_row(&table, MARK_FAINT,
                           (const char *[]){"", "", "", "", json_value_text(people, note)});
        }
    }
    show_table_end(&table, 2);
}

static void import_show(struct people *people, const json_t *answer) {
    const json_t *changes = json_object_get(answer, "changes");
    show_totals(people, json_object_get(answer, "totals"));
    if (changes != NULL) {
        effect_show_totals(people, changes, false);
    }
    effect_show_warnings(people, json_object_get(answer, "warnings"));
    show_documents(people, json_object_get(answer, "documents"));
}

/* A plan that would be refused has failed; one that would disrupt says so. */
static int plan_status(const json_t *answer, bool skip_bad) {
    bool bad = json_number(json_object_get(answer, "totals"), "bad") > 0 && !skip_bad;
    return bad ? CLI_FAILURE : effect_disruptive(answer) > 0 ? CLI_DISRUPTIVE : CLI_OK;
}

static int import_act(struct people *people, struct err *err) {
    const struct import_settings *settings = (const struct import_settings *)(const void *)people->settings;
    const char *first = people->operands.count > 0 ? people->operands.items[0] : "";
    bool has_source = strcmp(first, "calico") == 0 || strcmp(first, "kubernetes") == 0;
    struct people_request request = {.method = "POST",
                                     .doing = settings->plan ? "planning the import" : "importing",
                                     .warns_itself = true};
    struct buf body = BUF_INIT, path = BUF_INIT;
    json_t *answer = NULL;
    buf_add_str(&path, OURS "imports");
    people_add_query(&path, "dryRun", settings->plan ? "All" : NULL);
    people_add_query(&path, "view", settings->plan ? "summary" : NULL);
    people_add_query(&path, "skipBad", settings->skip_bad ? "true" : NULL);
    people_add_query(&path, "force", settings->force);
    people_add_query(&path, "source", has_source ? first : NULL);
    request.path = path.data;
    int status = buf_failed(&path) ? err_no_memory(err)
                                   : people_read_body(people, has_source ? 1 : 0, &body, &request.type, err);
    if (status == 0) {
        request.body = body.data != NULL ? body.data : "";
        request.body_len = body.len;
        status = people_ask_json(people, &request, &answer, err);
    }
    if (status == 0) {
        if (people_wants_document(people)) {
            people_write(people, answer);
        } else {
            import_show(people, answer);
        }
        status = settings->plan ? plan_status(answer, settings->skip_bad) : CLI_OK;
    }
    json_decref(answer);
    buf_done(&path);
    buf_done(&body);
    return status;
}

static int import_run(const struct command *command, int argc, char **argv) {
    struct import_settings settings;
    return people_run(command, argc, argv, &settings.people, sizeof(settings), OPERANDS_MAX, import_act);
}

const struct command command_import = {
    .name = "import",
    .operands = "[calico|kubernetes] FILE…|-",
    .summary = "Take in what kubectl, calicoctl or \"bgppeerd export\" has written",
    .options = IMPORT_TABLE,
    .option_count = sizeof(IMPORT_TABLE) / sizeof(IMPORT_TABLE[0]),
    .asks = true,
    .run = import_run,
};
