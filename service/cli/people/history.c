/*
 * One change in detail, `bgppeerd diff` and `bgppeerd undo`: what a change did, what differs between two
 * moments, and going back.
 */
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "people/history.h"
#include "people/people.h"

#define PATH_TEXT_MAX 256

struct diff_settings {
    struct people_settings people;
    const char *node;
    const char *view;
};

struct undo_settings {
    struct people_settings people;
    const char *to;
    struct option_list only;
    const char *reason;
    const char *max_disruptive;
    const char *max_nodes;
    const char *force;
    bool dry_run;
};

static const char *const VIEWS[] = {"both", "objects", "sessions", NULL};

static const struct option DIFF_TABLE[] = {
    PEOPLE_OPTIONS,
    {.name = "node",
     .value = "NAME",
     .type = OPTION_TEXT,
     .offset = offsetof(struct diff_settings, node),
     .argument_only = true,
     .help = "Show the sessions of this node only"},
    {.name = "view",
     .value = "VIEW",
     .type = OPTION_CHOICE,
     .choices = VIEWS,
     .default_text = "both",
     .offset = offsetof(struct diff_settings, view),
     .argument_only = true,
     .help = "What to compare"},
};

static const struct option UNDO_TABLE[] = {
    PEOPLE_OPTIONS,
    {.name = "to",
     .value = "WHEN",
     .type = OPTION_TEXT,
     .offset = offsetof(struct undo_settings, to),
     .argument_only = true,
     .help = "Bring back the state of this revision or time, instead of undoing one change"},
    {.name = "only",
     .value = "KIND|NAME",
     .type = OPTION_LIST,
     .offset = offsetof(struct undo_settings, only),
     .argument_only = true,
     .help = "Objects of this kind, or of this name, only"},
    {.name = "reason",
     .value = "TEXT",
     .type = OPTION_TEXT,
     .offset = offsetof(struct undo_settings, reason),
     .argument_only = true,
     .help = "Why, for the log of changes"},
    {.name = "max-disruptive",
     .value = "N",
     .type = OPTION_TEXT,
     .offset = offsetof(struct undo_settings, max_disruptive),
     .argument_only = true,
     .help = "Change nothing when more sessions would restart or be removed; each is counted at both ends"},
    {.name = "max-nodes",
     .value = "N",
     .type = OPTION_TEXT,
     .offset = offsetof(struct undo_settings, max_nodes),
     .argument_only = true,
     .help = "Change nothing when more nodes would get another list"},
    {.name = "force",
     .value = "WHAT",
     .type = OPTION_TEXT,
     .offset = offsetof(struct undo_settings, force),
     .argument_only = true,
     .help =
         "Do it also when the service would refuse it: disruptive, frozen (admins), or both with a comma"},
    {.name = "dry-run",
     .type = OPTION_FLAG,
     .offset = offsetof(struct undo_settings, dry_run),
     .argument_only = true,
     .help = "Show what it would do, and store nothing"},
};

/* ---- what differs in an object ---- */

static const char *or_dash(struct people *people, const json_t *value) {
    return value != NULL && !json_is_null(value) ? json_value_text(people, value) : "-";
}

/* A line for each value that differs below `path`; lists are compared whole. As deep as documents are. */
static void show_differences(struct people *people, const char *path, const json_t *before,
                             const json_t *after) {
    json_t *old = (json_t *)before, *new = (json_t *)after, *value; /* which stay as they are */
    const char *key;
    char below[PATH_TEXT_MAX];
    if (json_equal(before, after) == 1) {
        return;
    }
    if ((before != NULL && !json_is_object(before)) || (after != NULL && !json_is_object(after))) {
        show_line(people, MARK_NONE, 6, "%s: %s -> %s", path, or_dash(people, before),
                  or_dash(people, after));
        return;
    }
    json_object_foreach(old, key, value) {
        snprintf(below, sizeof(below), "%s.%s", path, key);
        show_differences(people, below, value, json_object_get(after, key));
    }
    json_object_foreach(new, key, value) {
        if (json_object_get(before, key) == NULL) {
            snprintf(below, sizeof(below), "%s.%s", path, key);
            show_differences(people, below, NULL, value);
        }
    }
}

/* What people write; the rest is the service's. */
static void show_object_change(struct people *people, const json_t *before, const json_t *after) {
    static const char *const PARTS[] = {"labels", "annotations"};
    const json_t *old = json_object_get(before, "metadata"), *new = json_object_get(after, "metadata");
    for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]); i++) {
        char path[64];
        snprintf(path, sizeof(path), "metadata.%s", PARTS[i]);
        show_differences(people, path, json_object_get(old, PARTS[i]), json_object_get(new, PARTS[i]));
    }
    show_differences(people, "spec", json_object_get(before, "spec"), json_object_get(after, "spec"));
}

/* ---- one change ---- */

void history_show_change(struct people *people, const json_t *answer) {
    const json_t *object;
    size_t i;
    show_line(people, MARK_HEAD, 0, "change %s, %s, by %s", json_text(people, answer, "txn"),
              json_text(people, answer, "time"), json_text(people, answer, "actor"));
    const char *reason = json_text(people, answer, "reason");
    if (reason[0] != '\0') {
        show_line(people, MARK_NONE, 0, "reason: %s", reason);
    }
    effect_show_totals(people, json_object_get(answer, "changes"), true);
    json_array_foreach(json_object_get(answer, "objects"), i, object) {
        const json_t *before = json_object_get(object, "before"), *after = json_object_get(object, "after");
        bool added = json_is_null(before), removed = json_is_null(after);
        show_line(people,
                  added     ? MARK_ADD
                  : removed ? MARK_REMOVE
                            : MARK_CHANGE,
                  2, "%s %s", json_text(people, object, "kind"), json_text(people, object, "name"));
        if (!added && !removed) {
            show_object_change(people, before, after);
        }
    }
    effect_show_nodes(people, json_object_get(answer, "changes"));
}

/* ---- change sets and Secrets ---- */

static void show_change_set(struct people *people, const json_t *set) {
    const json_t *changes = json_object_get(json_object_get(set, "spec"), "changes"), *change;
    size_t i;
    if (set != NULL && json_array_size(changes) == 0) {
        show_line(people, MARK_NONE, 0, "no object differs");
    }
    json_array_foreach(changes, i, change) {
        const char *op = json_text(people, change, "op");
        const json_t *object = json_object_get(change, "object"), *patch = json_object_get(change, "patch");
        bool created = object != NULL;
        enum mark mark = created ? MARK_ADD : strcmp(op, "delete") == 0 ? MARK_REMOVE : MARK_CHANGE;
        show_line(people, mark, 2, "%s %s", json_text(people, created ? object : change, "kind"),
                  json_text(people, created ? json_object_get(object, "metadata") : change, "name"));
        if (patch != NULL) {
            show_line(people, MARK_NONE, 6, "%s", json_value_text(people, patch));
        }
    }
}

static void show_secrets(struct people *people, const json_t *secrets, const char *what) {
    const json_t *secret;
    size_t i;
    json_array_foreach(secrets, i, secret) {
        show_line(people, MARK_WARN, 0, "Secret %s/%s, key %s: %s", json_text(people, secret, "namespace"),
                  json_text(people, secret, "name"), json_text(people, secret, "key"), what);
    }
}

/* ---- diff ---- */

static void diff_show(struct people *people, const json_t *answer) {
    const json_t *changes = json_object_get(answer, "changes");
    if (changes != NULL) {
        effect_show_totals(people, changes, true);
    }
    show_change_set(people, json_object_get(answer, "changeSet"));
    show_secrets(people, json_object_get(answer, "secrets"), "it has another value");
    effect_show_nodes(people, changes);
}

static int diff_act(struct people *people, struct err *err) {
    const struct diff_settings *settings = (const struct diff_settings *)(const void *)people->settings;
    struct buf path = BUF_INIT;
    if (people->operands.count == 0) {
        return err_set(err, ERR_USAGE, "name the moment to compare with now: a revision or a time");
    }
    buf_add_str(&path, OURS "diff");
    people_add_query(&path, "from", people->operands.items[0]);
    people_add_query(&path, "to", people->operands.count > 1 ? people->operands.items[1] : NULL);
    people_add_query(&path, "node", settings->node);
    people_add_query(&path, "view", strcmp(settings->view, "both") != 0 ? settings->view : NULL);
    const struct people_request request = {.path = path.data, .doing = "comparing", .warns_itself = true};
    int status = buf_failed(&path) ? err_no_memory(err) : people_ask_show(people, &request, diff_show, err);
    buf_done(&path);
    return status;
}

/* ---- undo ---- */

static void add_limit(struct buf *body, const char *member, const char *text) {
    if (text != NULL) {
        buf_json_key(body, member);
        buf_add_str(body, text);
    }
}

/* Of `only`, the kinds or the names. */
static void add_only(struct buf *body, const struct option_list *only, bool kinds) {
    buf_json_key(body, kinds ? "kinds" : "names");
    buf_add_char(body, '[');
    for (size_t i = 0; i < only->count; i++) {
        const struct kind_info *info = people_find_kind(only->items[i]);
        if ((info != NULL) == kinds) {
            buf_json_comma(body);
            buf_add_json_str(body, kinds ? info->name : only->items[i]);
        }
    }
    buf_add_char(body, ']');
}

static bool has_kind(const struct option_list *only, bool kind) {
    for (size_t i = 0; i < only->count; i++) {
        if ((people_find_kind(only->items[i]) != NULL) == kind) {
            return true;
        }
    }
    return false;
}

static bool is_number(const char *text) {
    uint64_t number;
    return u64_parse(text, strlen(text), INT64_MAX, &number);
}

static int write_undo(const struct people *people, const struct undo_settings *settings, struct buf *body,
                      struct err *err) {
    const char *txn = people->operands.count > 0 ? people->operands.items[0] : NULL;
    if ((txn != NULL) == (settings->to != NULL)) {
        return err_set(
            err, ERR_USAGE,
            "name the change to undo, as \"bgppeerd changes\" shows it, or with --to the revision or "
            "time to go back to");
    }
    if ((settings->max_disruptive != NULL && !is_number(settings->max_disruptive)) ||
        (settings->max_nodes != NULL && !is_number(settings->max_nodes))) {
        return err_set(err, ERR_USAGE, "--max-disruptive and --max-nodes take a number");
    }
    buf_add_char(body, '{');
    buf_json_key(body, txn != NULL ? "undo" : "to");
    buf_add_char(body, '{');
    buf_json_member_str(body,
                        txn != NULL               ? "txn"
                        : is_number(settings->to) ? "revision"
                                                  : "time",
                        txn != NULL ? txn : settings->to);
    buf_add_char(body, '}');
    if (settings->only.count > 0) {
        buf_json_key(body, "only");
        buf_add_char(body, '{');
        for (int kinds = 0; kinds < 2; kinds++) {
            if (has_kind(&settings->only, kinds != 0)) {
                add_only(body, &settings->only, kinds != 0);
            }
        }
        buf_add_char(body, '}');
    }
    buf_json_member_str(body, "reason", settings->reason);
    add_limit(body, "maxDisruptive", settings->max_disruptive);
    add_limit(body, "maxNodes", settings->max_nodes);
    buf_json_member_true(body, "dryRun", settings->dry_run);
    buf_add_char(body, '}');
    return buf_failed(body) ? err_no_memory(err) : 0;
}

static void undo_show(struct people *people, const json_t *answer) {
    const json_t *changes = json_object_get(answer, "changes");
    bool dry_run = strcmp(json_text(people, answer, "kind"), "Preview") == 0;
    if (changes != NULL) {
        effect_show_totals(people, changes, false);
    }
    effect_show_warnings(people, json_object_get(answer, "warnings"));
    show_secrets(people, json_object_get(json_object_get(answer, "rollback"), "secrets"),
                 "its old value is not kept; write it again if it is needed");
    effect_show_results(people, json_object_get(answer, "results"));
    if (dry_run) {
        effect_show_nodes(people, changes);
        show_line(people, MARK_FAINT, 0, "nothing is stored");
    } else {
        show_line(people, MARK_FAINT, 0, "resourceVersion %s",
                  json_text(people, json_object_get(answer, "metadata"), "resourceVersion"));
    }
}

static int undo_act(struct people *people, struct err *err) {
    const struct undo_settings *settings = (const struct undo_settings *)(const void *)people->settings;
    struct buf body = BUF_INIT, path = BUF_INIT;
    json_t *answer = NULL;
    int status = write_undo(people, settings, &body, err);
    buf_add_str(&path, OURS "rollbacks");
    people_add_query(&path, "force", settings->force);
    if (status == 0 && buf_failed(&path)) {
        status = err_no_memory(err);
    }
    if (status == 0) {
        const struct people_request request = {.method = "POST",
                                               .path = path.data,
                                               .body = body.data,
                                               .body_len = body.len,
                                               .doing = settings->dry_run ? "previewing" : "going back",
                                               .warns_itself = settings->dry_run};
        status = people_ask_json(people, &request, &answer, err);
    }
    if (status == 0) {
        if (people_wants_document(people)) {
            people_write(people, answer);
        } else {
            undo_show(people, answer);
        }
        status = settings->dry_run && effect_disruptive(answer) > 0 ? CLI_DISRUPTIVE : CLI_OK;
    }
    json_decref(answer);
    buf_done(&path);
    buf_done(&body);
    return status;
}

/* ---- the commands ---- */

static int diff_run(const struct command *command, int argc, char **argv) {
    struct diff_settings settings;
    return people_run(command, argc, argv, &settings.people, sizeof(settings), 2, diff_act);
}

static int undo_run(const struct command *command, int argc, char **argv) {
    struct undo_settings settings;
    return people_run(command, argc, argv, &settings.people, sizeof(settings), 1, undo_act);
}

const struct command command_diff = {
    .name = "diff",
    .operands = "FROM [TO]",
    .summary = "Show what differs between two moments, each a revision or a time; TO is now when left out",
    .options = DIFF_TABLE,
    .option_count = sizeof(DIFF_TABLE) / sizeof(DIFF_TABLE[0]),
    .asks = true,
    .run = diff_run,
};

const struct command command_undo = {
    .name = "undo",
    .operands = "CHANGE|--to WHEN",
    .summary = "Take one change back, or go back to an earlier state",
    .options = UNDO_TABLE,
    .option_count = sizeof(UNDO_TABLE) / sizeof(UNDO_TABLE[0]),
    .asks = true,
    .run = undo_run,
};
