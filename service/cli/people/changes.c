/*
 * `bgppeerd changes`: what was changed, when, by whom and why.
 */
#include <stdio.h>
#include <string.h>

#include "people/history.h"
#include "people/people.h"

struct changes_settings {
    struct people_settings people;
    const char *kind;
    const char *name;
    const char *since;
    const char *until;
    uint64_t limit;
};

static const struct option CHANGES_TABLE[] = {
    PEOPLE_OPTIONS,
    {.name = "kind",
     .value = "KIND",
     .type = OPTION_TEXT,
     .offset = offsetof(struct changes_settings, kind),
     .argument_only = true,
     .help = "Changes of this kind only"},
    {.name = "name",
     .value = "NAME",
     .type = OPTION_TEXT,
     .offset = offsetof(struct changes_settings, name),
     .argument_only = true,
     .help = "Changes of objects of this name only; a Secret's is namespace/name"},
    {.name = "since",
     .value = "WHEN",
     .type = OPTION_TEXT,
     .offset = offsetof(struct changes_settings, since),
     .argument_only = true,
     .help = "From this time or revision on: 2027-01-31T00:00:00Z, or 4711"},
    {.name = "until",
     .value = "WHEN",
     .type = OPTION_TEXT,
     .offset = offsetof(struct changes_settings, until),
     .argument_only = true,
     .help = "Before this time or revision"},
    {.name = "limit",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = offsetof(struct changes_settings, limit),
     .min = 1,
     .max = 100000,
     .default_text = "20",
     .argument_only = true,
     .help = "At most so many, the newest first"},
};

/* ---- lists ---- */

/* "update Node/rack1-host1 and 3 more" */
static const char *what_text(struct people *people, const json_t *objects) {
    const json_t *first = json_array_get(objects, 0);
    size_t more = json_array_size(objects);
    char rest[32] = "";
    if (more > 1) {
        snprintf(rest, sizeof(rest), " and %zu more", more - 1);
    }
    const char *text = arena_printf(&people->arena, "%s %s/%s%s", json_text(people, first, "op"),
                                    json_text(people, first, "kind"), json_text(people, first, "name"), rest);
    return text != NULL ? text : "";
}

static void changes_show(struct people *people, const json_t *answer) {
    static const char *const HEADINGS[] = {"CHANGE", "TIME", "BY", "WHAT", "REASON"};
    const json_t *item;
    struct show_table table;
    size_t i;
    show_table_begin(&table, people, 5, HEADINGS);
    json_array_foreach(json_object_get(answer, "items"), i, item) {
        show_table_row(&table, MARK_NONE,
                       (const char *[]){json_text(people, item, "txn"), json_text(people, item, "time"),
                                        json_text(people, item, "actor"),
                                        what_text(people, json_object_get(item, "objects")),
                                        json_text(people, item, "reason")});
    }
    show_table_end(&table, 0);
    if (json_object_get(json_object_get(answer, "metadata"), "continue") != NULL) {
        show_line(people, MARK_FAINT, 0, "there are older ones: --limit, or --until");
    }
}

/* One page more, at the end of `all`. *ret_more: there is another one, behind all->metadata.continue. */
static int add_page(struct people *people, const struct changes_settings *settings, json_t *all, size_t limit,
                    bool *ret_more, struct err *err) {
    struct buf path = BUF_INIT;
    char wanted[32];
    json_t *page = NULL;
    json_t *meta = json_object_get(all, "metadata"), *items = json_object_get(all, "items");
    snprintf(wanted, sizeof(wanted), "%zu", limit < 1000 ? limit : 1000);
    buf_add_str(&path, OURS "changes");
    people_add_query(&path, "limit", wanted);
    people_add_query(&path, "kind", settings->kind);
    people_add_query(&path, "name", settings->name);
    people_add_query(&path, "since", settings->since);
    people_add_query(&path, "until", settings->until);
    people_add_query(&path, "continue", json_string_value(json_object_get(meta, "continue")));
    const struct people_request request = {.path = path.data, .doing = "asking for changes"};
    int result = buf_failed(&path) ? err_no_memory(err) : people_ask_json(people, &request, &page, err);
    buf_done(&path);
    if (result == 0) {
        json_t *next = json_object_get(page, "metadata");
        *ret_more = json_object_get(next, "continue") != NULL;
        result = json_array_extend(items, json_object_get(page, "items")) == 0 &&
                         json_object_set(all, "metadata", next) == 0
                     ? 0
                     : err_no_memory(err);
    }
    json_decref(page);
    return result;
}

static int show_one(struct people *people, const char *txn, struct err *err) {
    struct buf path = BUF_INIT;
    buf_add_str(&path, OURS "changes/");
    people_add_escaped(&path, txn);
    const struct people_request request = {
        .path = path.data, .doing = "asking for the change", .warns_itself = true};
    int status =
        buf_failed(&path) ? err_no_memory(err) : people_ask_show(people, &request, history_show_change, err);
    buf_done(&path);
    return status;
}

static int show_list(struct people *people, const struct changes_settings *settings, struct err *err) {
    json_t *all = json_pack("{s:s, s:s, s:{}, s:[]}", "apiVersion", "bgppeerd.io/v1", "kind", "ChangeList",
                            "metadata", "items");
    bool more = true;
    int result = all != NULL ? 0 : err_no_memory(err);
    while (result == 0 && more && json_array_size(json_object_get(all, "items")) < settings->limit) {
        result = add_page(people, settings, all,
                          settings->limit - json_array_size(json_object_get(all, "items")), &more, err);
    }
    if (result == 0 && people_wants_document(people)) {
        people_write(people, all);
    } else if (result == 0) {
        changes_show(people, all);
    }
    json_decref(all);
    return result;
}

static int changes_act(struct people *people, struct err *err) {
    const struct changes_settings *settings = (const struct changes_settings *)(const void *)people->settings;
    bool filters = settings->kind != NULL || settings->name != NULL || settings->since != NULL ||
                   settings->until != NULL;
    if (people->operands.count == 0) {
        return show_list(people, settings, err);
    }
    return filters
               ? err_set(err, ERR_USAGE,
                         "--kind, --name, --since and --until choose among all changes; one is named already")
               : show_one(people, people->operands.items[0], err);
}

/* ---- the command ---- */

static int changes_run(const struct command *command, int argc, char **argv) {
    struct changes_settings settings;
    return people_run(command, argc, argv, &settings.people, sizeof(settings), 1, changes_act);
}

const struct command command_changes = {
    .name = "changes",
    .operands = "[CHANGE]",
    .summary = "Say what was changed, when, by whom and why",
    .options = CHANGES_TABLE,
    .option_count = sizeof(CHANGES_TABLE) / sizeof(CHANGES_TABLE[0]),
    .asks = true,
    .run = changes_run,
};
