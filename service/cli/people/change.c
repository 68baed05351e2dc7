/*
 * `bgppeerd preview` and `bgppeerd apply`: what documents or a change set would do to sessions, and do it.
 * Limits of the command line are held by a preview of the same bytes, which the apply is then bound to.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "people/people.h"

#define UNLIMITED   UINT64_MAX
#define ASK_SECONDS 60 /* one request of a longer wait */

struct preview_settings {
    struct people_settings people;
    const char *node;
};

struct apply_settings {
    struct people_settings people;
    const char *reason;
    const char *force;
    const char *wait;
    const char *max_disruptive;
    const char *max_nodes;
    bool dry_run;
};

/* What the texts among them mean. */
struct apply_bounds {
    uint64_t disruptive, nodes; /* UNLIMITED: nobody minds */
    int64_t wait_ms;
};

static const struct option PREVIEW_TABLE[] = {
    PEOPLE_OPTIONS,
    {.name = "node",
     .value = "NAME",
     .type = OPTION_TEXT,
     .offset = offsetof(struct preview_settings, node),
     .argument_only = true,
     .help = "Show the sessions of this node only; the totals are of all"},
};

static const struct option APPLY_TABLE[] = {
    PEOPLE_OPTIONS,
    {.name = "reason",
     .value = "TEXT",
     .type = OPTION_TEXT,
     .offset = offsetof(struct apply_settings, reason),
     .argument_only = true,
     .help = "Why, for the log of changes: one line of ASCII"},
    {.name = "max-disruptive",
     .value = "N",
     .type = OPTION_TEXT,
     .offset = offsetof(struct apply_settings, max_disruptive),
     .argument_only = true,
     .help = "Change nothing when more sessions would restart or be removed; each is counted at both ends"},
    {.name = "max-nodes",
     .value = "N",
     .type = OPTION_TEXT,
     .offset = offsetof(struct apply_settings, max_nodes),
     .argument_only = true,
     .help = "Change nothing when more nodes would get another list"},
    {.name = "force",
     .value = "WHAT",
     .type = OPTION_TEXT,
     .offset = offsetof(struct apply_settings, force),
     .argument_only = true,
     .help =
         "Do it also when the service would refuse it: disruptive, frozen (admins), or both with a comma"},
    {.name = "dry-run",
     .type = OPTION_FLAG,
     .offset = offsetof(struct apply_settings, dry_run),
     .argument_only = true,
     .help = "Check it and say what it would do, and store nothing"},
    {.name = "wait",
     .value = "WAIT",
     .bare = "60s",
     .type = OPTION_TEXT,
     .offset = offsetof(struct apply_settings, wait),
     .argument_only = true,
     .help = "Afterwards wait until every node that is heard of has its new list, at most so long (60s)"},
};

/* ---- preview ---- */

static int preview_act(struct people *people, struct err *err) {
    const struct preview_settings *settings = (const struct preview_settings *)(const void *)people->settings;
    struct buf body = BUF_INIT, path = BUF_INIT;
    struct people_request request = {.method = "POST", .doing = "previewing", .warns_itself = true};
    json_t *answer = NULL;
    int status = -1;
    buf_add_str(&path, OURS "previews");
    people_add_query(&path, "node", settings->node);
    request.path = path.data;
    if (buf_failed(&path)) {
        err_no_memory(err);
    } else if (people_read_body(people, 0, &body, &request.type, err) == 0) {
        request.body = body.data != NULL ? body.data : "";
        request.body_len = body.len;
        status = people_ask_json(people, &request, &answer, err);
    }
    if (status == 0) {
        const json_t *changes = json_object_get(answer, "changes");
        if (people_wants_document(people)) {
            people_write(people, answer);
        } else {
            effect_show_totals(people, changes, false);
            effect_show_warnings(people, json_object_get(answer, "warnings"));
            effect_show_results(people, json_object_get(answer, "results"));
            effect_show_nodes(people, changes);
        }
        status = effect_disruptive(answer) > 0 ? CLI_DISRUPTIVE : CLI_OK;
    }
    json_decref(answer);
    buf_done(&path);
    buf_done(&body);
    return status;
}

/* ---- limits ---- */

/* Would it do more than allowed? *ret_version: of the preview, which the apply is bound to. */
static int check_limits(struct people *people, const struct apply_bounds *bounds,
                        const struct people_request *apply, const char **ret_version, struct err *err) {
    struct people_request request = *apply;
    json_t *answer = NULL;
    request.path = OURS "previews?view=summary";
    request.doing = "previewing";
    request.warns_itself = true; /* the apply says the same */
    request.reason = NULL;
    if (people_ask_json(people, &request, &answer, err) != 0) {
        return -1;
    }
    const json_t *totals = json_object_get(json_object_get(answer, "changes"), "totals");
    uint64_t disruptive = json_number(totals, "disruptive"), nodes = json_number(totals, "nodes");
    *ret_version = json_text(people, json_object_get(answer, "metadata"), "resourceVersion");
    json_decref(answer);
    if (disruptive > bounds->disruptive) {
        return err_set(
            err, ERR_TOO_DISRUPTIVE,
            "%llu sessions would restart or be removed, and --max-disruptive allows %llu; nothing is "
            "changed: \"bgppeerd preview\" shows them",
            (unsigned long long)disruptive, (unsigned long long)bounds->disruptive);
    }
    if (nodes > bounds->nodes) {
        return err_set(err, ERR_TOO_DISRUPTIVE,
                       "%llu nodes would get another list, and --max-nodes allows %llu; nothing is changed: "
                       "\"bgppeerd preview\" shows them",
                       (unsigned long long)nodes, (unsigned long long)bounds->nodes);
    }
    return 0;
}

/* ---- waiting ---- */

static int parse_limit(const char *option, const char *text, uint64_t *ret, struct err *err) {
    *ret = UNLIMITED;
    return text == NULL || u64_parse(text, strlen(text), UNLIMITED - 1, ret)
               ? 0
               : err_set(err, ERR_USAGE, "%s: \"%.50s\" is no number", option, text);
}

static int parse_bounds(const struct apply_settings *settings, struct apply_bounds *ret, struct err *err) {
    const char *wait = settings->wait != NULL ? settings->wait : "0s";
    int64_t ns;
    if (!duration_parse(wait, strlen(wait), &ns) || ns < 0) {
        return err_set(err, ERR_USAGE, "--wait: \"%.50s\" is no time such as 60s or 5m", wait);
    }
    ret->wait_ms = ns / 1000000;
    return parse_limit("--max-disruptive", settings->max_disruptive, &ret->disruptive, err) != 0
               ? -1
               : parse_limit("--max-nodes", settings->max_nodes, &ret->nodes, err);
}

static void show_convergence(struct people *people, const json_t *answer) {
    const json_t *behind = json_object_get(answer, "behind"), *node;
    uint64_t count = json_number(answer, "behindCount");
    size_t i;
    show_line(people, count > 0 ? MARK_WARN : MARK_NONE, 0,
              "%s have their new list, %llu of them run it; %llu are behind, %llu are silent",
              json_count_text(people, json_number(answer, "fetched"), "node", "nodes"),
              (unsigned long long)json_number(answer, "applied"), (unsigned long long)count,
              (unsigned long long)json_number(answer, "silent"));
    json_array_foreach(behind, i, node) {
        show_line(people, MARK_REMOVE, 2, "%s", json_value_text(people, node));
    }
}

/* *ret: nobody is behind. The newest answer to *ret_answer. */
static int wait_for_nodes(struct people *people, const char *version, int64_t wait_ms, json_t **ret_answer,
                          struct err *err) {
    int64_t end_ms = clock_monotonic_ms() + wait_ms, left_ms = wait_ms;
    do {
        long long seconds = left_ms / 1000 < ASK_SECONDS ? (long long)((left_ms + 999) / 1000) : ASK_SECONDS;
        const char *path = arena_printf(&people->arena, OURS "convergence?resourceVersion=%s&wait=%llds",
                                        version, seconds > 0 ? seconds : 0);
        if (path == NULL) {
            return err_no_memory(err);
        }
        json_decref(*ret_answer);
        *ret_answer = NULL;
        const struct people_request request = {.path = path, .doing = "waiting for the nodes"};
        if (people_ask_json(people, &request, ret_answer, err) != 0) {
            return -1;
        }
        left_ms = end_ms - clock_monotonic_ms();
    } while (json_number(*ret_answer, "behindCount") > 0 && left_ms > 0);
    return 0;
}

/* ---- apply ---- */

static void apply_show(struct people *people, const json_t *answer) {
    const json_t *changes = json_object_get(answer, "changes");
    if (changes != NULL) {
        effect_show_totals(people, changes, false);
    }
    effect_show_results(people, json_object_get(answer, "results"));
}

/* What was applied, and then who has it. */
static int apply_finish(struct people *people, const struct apply_settings *settings,
                        const struct apply_bounds *bounds, json_t *answer, struct err *err) {
    const char *version = json_text(people, json_object_get(answer, "metadata"), "resourceVersion");
    bool document = people_wants_document(people);
    json_t *convergence = NULL;
    if (!document) {
        apply_show(people, answer);
        show_line(people, MARK_FAINT, 0, settings->dry_run ? "nothing is stored" : "resourceVersion %s",
                  version);
    }
    bool waits = settings->wait != NULL && !settings->dry_run;
    int result = waits ? wait_for_nodes(people, version, bounds->wait_ms, &convergence, err) : 0;
    int status = json_number(convergence, "behindCount") > 0 ? CLI_FAILURE : CLI_OK;
    if (result == 0 && waits && document) {
        (void)json_object_set(answer, "convergence", convergence);
    } else if (result == 0 && waits) {
        show_convergence(people, convergence);
    }
    if (document) {
        people_write(people, answer);
    }
    json_decref(convergence);
    if (result != 0) {
        (void)err_wrap(err, "it is applied as resourceVersion %s, but who has it is not known", version);
    }
    return result == 0 ? status : -1;
}

static int apply_body(struct people *people, const struct apply_settings *settings,
                      const struct apply_bounds *bounds, struct people_request *request, struct err *err) {
    struct buf path = BUF_INIT;
    json_t *answer = NULL;
    bool limited = bounds->disruptive != UNLIMITED || bounds->nodes != UNLIMITED;
    int status = limited ? check_limits(people, bounds, request, &request->if_match, err) : 0;
    buf_add_str(&path, OURS "applies");
    people_add_query(&path, "dryRun", settings->dry_run ? "All" : NULL);
    people_add_query(&path, "force", settings->force);
    request->path = path.data;
    if (status == 0) {
        status = buf_failed(&path) ? err_no_memory(err) : people_ask_json(people, request, &answer, err);
    }
    if (status == 0) {
        status = apply_finish(people, settings, bounds, answer, err);
    }
    json_decref(answer);
    buf_done(&path);
    return status;
}

static int apply_act(struct people *people, struct err *err) {
    const struct apply_settings *settings = (const struct apply_settings *)(const void *)people->settings;
    struct buf body = BUF_INIT;
    struct people_request request = {.method = "POST", .reason = settings->reason, .doing = "applying"};
    struct apply_bounds bounds;
    int status = parse_bounds(settings, &bounds, err);
    if (status == 0) {
        status = people_read_body(people, 0, &body, &request.type, err);
    }
    if (status == 0) {
        request.body = body.data != NULL ? body.data : "";
        request.body_len = body.len;
        status = apply_body(people, settings, &bounds, &request, err);
    }
    buf_done(&body);
    return status;
}

/* ---- the commands ---- */

static int preview_run(const struct command *command, int argc, char **argv) {
    struct preview_settings settings;
    return people_run(command, argc, argv, &settings.people, sizeof(settings), OPERANDS_MAX, preview_act);
}

static int apply_run(const struct command *command, int argc, char **argv) {
    struct apply_settings settings;
    return people_run(command, argc, argv, &settings.people, sizeof(settings), OPERANDS_MAX, apply_act);
}

const struct command command_preview = {
    .name = "preview",
    .operands = "FILE…|-",
    .summary = "Show what documents or a ChangeSet would do to sessions",
    .options = PREVIEW_TABLE,
    .option_count = sizeof(PREVIEW_TABLE) / sizeof(PREVIEW_TABLE[0]),
    .asks = true,
    .run = preview_run,
};

const struct command command_apply = {
    .name = "apply",
    .operands = "FILE…|-",
    .summary = "Store documents, or make the changes of a ChangeSet, all of them or none",
    .options = APPLY_TABLE,
    .option_count = sizeof(APPLY_TABLE) / sizeof(APPLY_TABLE[0]),
    .asks = true,
    .run = apply_run,
};
