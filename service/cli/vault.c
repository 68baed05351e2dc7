/*
 * `bgppeerd vault`: the state of the vault's keys, and changes of them, on a running service over its API, or
 * on a stopped one's data directly. Both ways end in the same struct vault_form, which is what is printed.
 * Main thread only; what is read lives in the arena of one command.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "api_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "base/random.h"
#include "cli_internal.h"
#include "codec.h"
#include "offline.h"

#define VAULT_PATH   "/apis/bgppeerd.io/v1/vault"
#define POLL_MS      200
#define LINE_EVERY_S 5 /* between lines of progress when nobody watches */

enum action { STATUS, ROTATE, CHANGE_ROOT, CANCEL_ROOT, ACTION_COUNT };
static const char *const ACTIONS[ACTION_COUNT] = {
    [STATUS] = "status",
    [ROTATE] = "rotate-data-key",
    [CHANGE_ROOT] = "change-root-key",
    [CANCEL_ROOT] = "cancel-root-key-change",
};

struct vault_settings_given {
    struct offline_options offline;
    const char *token_file;
    const char *new_key_file;
    const char *new_passphrase_file;
    bool yes;
};
#define MEMBER(name) offsetof(struct vault_settings_given, name)

static const struct option OPTIONS[] = {
    {.name = "data-dir",
     .value = "DIR",
     .type = OPTION_TEXT,
     .offset = MEMBER(offline.data_dir),
     .default_text = "./data",
     .help = "The service's data directory"},
    STORE_OPTIONS(MEMBER(offline.store)),
    {.name = "new-key-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(new_key_file),
     .help = "change-root-key: the new root key is in this file (32 bytes or 64 hex digits, mode 0600); the "
             "service must then be restarted with it. Without it and without a passphrase a new random key "
             "replaces the key file in use"},
    {.name = "new-passphrase-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(new_passphrase_file),
     .help = "change-root-key: make the new root key from the passphrase in this file (one line, mode 0600)"},
    {.name = "token-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(token_file),
     .help = "The admin token to ask a running service with; without it, admin.token in the data directory"},
    {.name = "vault-key-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(offline.vault_key_file),
     .help = "While the service is stopped: the root key's file, as for serve"},
    {.name = "vault-passphrase-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(offline.vault_passphrase_file),
     .help = "While the service is stopped: the root key's passphrase, as for serve"},
    {.name = "yes",
     .type = OPTION_FLAG,
     .offset = MEMBER(yes),
     .help =
         "change-root-key: replace the key file in use without asking; where nobody can be asked, this is "
         "needed"},
};

/* ---- progress ---- */

struct progress {
    bool terminal;
    bool shown;
    int64_t line_at_ms; /* monotonic: when the next line may be written */
};

static struct progress progress_begin(void) {
    return (struct progress){.terminal = isatty(STDERR_FILENO) == 1,
                             .line_at_ms = clock_monotonic_ms() + LINE_EVERY_S * 1000};
}

/* One line that is written over on a terminal; elsewhere a line now and then. */
static bool progress_step(void *arg, size_t done, size_t total) {
    struct progress *progress = arg;

    total = total < done ? done : total; /* Secrets come and go meanwhile */
    if (progress->terminal) {
        fprintf(stderr, "\rsealing again: %zu of %zu Secrets (%zu %%)", done, total,
                total > 0 ? done * 100 / total : 100);
        progress->shown = true;
    } else if (clock_monotonic_ms() >= progress->line_at_ms) {
        fprintf(stderr, "sealing again: %zu of %zu Secrets\n", done, total);
        progress->line_at_ms = clock_monotonic_ms() + LINE_EVERY_S * 1000;
    }
    return true;
}

static void progress_end(const struct progress *progress) {
    if (progress->shown) {
        fputc('\n', stderr);
    }
}

/* ---- the status, from either side ---- */

static struct opt_int number(uint64_t value) {
    return (struct opt_int){.set = true, .value = value > INT64_MAX ? INT64_MAX : (int64_t)value};
}

static const char *time_text(struct arena *arena, int64_t time_ms) {
    char text[CLOCK_TEXT_MAX];

    clock_format_seconds(time_ms, text);
    return arena_strdup(arena, text);
}

static int form_of_report(const struct vault_report *report, struct arena *arena, struct vault_form *ret,
                          struct err *err) {
    const struct vault_status *status = &report->keys;
    struct vault_form_key *keys = arena_array(arena, status->key_count, sizeof *keys);
    struct vault_form form = {
        .source = arena_strdup(arena, report->source),
        .warning = arena_strdup(arena, report->warning),
        .root = arena_alloc(arena, sizeof *form.root),
        .pending = status->pending_id[0] != '\0' ? arena_alloc(arena, sizeof *form.pending) : NULL,
        .keys = {.count = status->key_count, .items = keys},
        .values = number(report->values),
        .unreadable = number(report->unreadable),
        .decryptions = number(report->unseal_count)};

    if (arena->failed) {
        return err_no_memory(err);
    }
    form.root->fingerprint = arena_strdup(arena, status->root_id);
    form.root->created = time_text(arena, status->root_created_ms);
    if (form.pending != NULL) {
        form.pending->fingerprint = arena_strdup(arena, status->pending_id);
    }
    for (size_t i = 0; i < status->key_count; i++) {
        keys[i] = (struct vault_form_key){.id = number(status->keys[i].id),
                                          .values = number(status->keys[i].values),
                                          .active = {.set = true, .value = status->keys[i].active},
                                          .created = time_text(arena, status->keys[i].created_ms)};
    }
    if (arena->failed) {
        return err_no_memory(err);
    }
    *ret = form;
    return 0;
}

static int ask(const struct vault_settings_given *settings, const char *method, const char *path,
               const char *body, struct arena *arena, struct vault_form *ret, struct err *err) {
    struct buf answer = BUF_INIT;
    int rc = api_request(settings->offline.data_dir, settings->token_file, method, path, body, &answer, err);

    if (rc == 0) {
        rc = codec_decode_vault(answer.data, answer.len, arena, ret, err);
    }
    buf_done(&answer);
    return rc;
}

/* ---- printing ---- */

static const char *or_dash(const char *text) {
    return text != NULL && text[0] != '\0' ? text : "-";
}

/* "3 d" of an RFC 3339 time. */
static const char *age(const char *since, char out[24]) {
    int64_t then_ms, minutes;

    if (since == NULL || !clock_parse(since, strlen(since), &then_ms)) {
        return "-";
    }
    minutes = (clock_realtime_ms() - then_ms) / 60000;
    if (minutes < 0) {
        minutes = 0;
    }
    if (minutes >= 2 * 24 * 60) {
        snprintf(out, 24, "%" PRId64 " d", minutes / (24 * 60));
    } else if (minutes >= 120) {
        snprintf(out, 24, "%" PRId64 " h", minutes / 60);
    } else {
        snprintf(out, 24, "%" PRId64 " min", minutes);
    }
    return out;
}

static void print_operation(const struct vault_form_operation *operation) {
    printf("Newest change: %s, %s, started %s", or_dash(operation->type), or_dash(operation->state),
           or_dash(operation->started));
    if (operation->finished != NULL) {
        printf(", finished %s", operation->finished);
    } else if (operation->total.set && operation->total.value > 0) {
        printf(", %" PRId64 " of %" PRId64 " Secrets", operation->done.value, operation->total.value);
    }
    printf("%s%s\n", operation->message != NULL ? ": " : "",
           operation->message != NULL ? operation->message : "");
}

static void print_status(const struct vault_form *form) {
    const struct vault_form_key *keys = form->keys.items;
    char text[24];

    if (form->root != NULL) {
        printf("Root key:      %s, for %s (%s)\n", or_dash(form->root->fingerprint),
               age(form->root->created, text), or_dash(form->source));
    }
    if (form->pending != NULL) {
        printf("New root key:  %s, in force when the service is started with it\n",
               or_dash(form->pending->fingerprint));
    }
    printf("Values:        %" PRId64, form->values.value);
    if (form->unreadable.value > 0) {
        printf(", of which %" PRId64 " cannot be read (the log names them)", form->unreadable.value);
    }
    printf("\n\n%-8s  %-20s  %-8s  %-8s\n", "DATA KEY", "CREATED", "AGE", "VALUES");
    for (size_t i = 0; i < form->keys.count; i++) {
        printf("%-8" PRId64 "  %-20s  %-8s  %-8" PRId64 "%s\n", keys[i].id.value, or_dash(keys[i].created),
               age(keys[i].created, text), keys[i].values.value, keys[i].active.value ? "  active" : "");
    }
    if (form->operation != NULL) {
        fputc('\n', stdout);
        print_operation(form->operation);
    }
    if (form->warning != NULL && form->warning[0] != '\0') {
        printf("\nWarning: %s\n", form->warning);
    }
}

/* What a change has led to, in a line. */
static void print_outcome(enum action action, const struct vault_form *form, const char *message) {
    const struct vault_form_key *keys = form->keys.items;
    const struct vault_form_root *root = form->pending != NULL ? form->pending : form->root;

    switch (action) {
    case ROTATE:
        if (form->keys.count > 0) {
            printf("data key %" PRId64 " is active and holds %" PRId64 " values\n",
                   keys[form->keys.count - 1].id.value, keys[form->keys.count - 1].values.value);
        }
        if (form->keys.count > 1) {
            printf("older data keys are kept: values that cannot be read name them (see vault status)\n");
        }
        break;
    case CHANGE_ROOT:
        printf("new root key: %s; %s\n", or_dash(root != NULL ? root->fingerprint : NULL), or_dash(message));
        break;
    case CANCEL_ROOT:
        printf("the root key stays %s\n", or_dash(form->root != NULL ? form->root->fingerprint : NULL));
        break;
    case STATUS:
    case ACTION_COUNT:
        break;
    }
}

/* ---- a running service ---- */

/* An absolute path: the service has another working directory. */
static const char *absolute(const char *path, struct arena *arena) {
    char here[PATH_MAX];

    return path == NULL || path[0] == '/' || getcwd(here, sizeof here) == NULL
               ? path
               : arena_printf(arena, "%s/%s", here, path);
}

static int start_running(const struct vault_settings_given *settings, enum action action, struct arena *arena,
                         struct vault_form *ret, struct err *err) {
    struct buf body = BUF_INIT;
    int rc;

    if (action == ROTATE) {
        return ask(settings, "POST", VAULT_PATH "/rotations", "{\"kind\":\"DataKeyRotation\"}", arena, ret,
                   err);
    }
    if (action == CANCEL_ROOT) {
        return ask(settings, "DELETE", VAULT_PATH "/rootkeychanges", NULL, arena, ret, err);
    }
    buf_add_str(&body, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"RootKeyChange\",\"spec\":{");
    buf_json_member_str(&body, "keyFile", absolute(settings->new_key_file, arena));
    buf_json_member_str(&body, "passphraseFile", absolute(settings->new_passphrase_file, arena));
    buf_add_str(&body, "}}");
    rc = buf_failed(&body) || arena->failed
             ? err_no_memory(err)
             : ask(settings, "POST", VAULT_PATH "/rootkeychanges", body.data, arena, ret, err);
    buf_done(&body);
    return rc;
}

/* Until the operation `id` is over. */
static int follow(const struct vault_settings_given *settings, int64_t id, struct arena *arena,
                  struct vault_form *form, struct err *err) {
    struct progress progress = progress_begin();
    int rc = 0;

    while (rc == 0 && form->operation != NULL && form->operation->id.value == id &&
           strcmp(or_dash(form->operation->state), "Running") == 0) {
        if (form->operation->total.value > 0) {
            (void)progress_step(&progress, (size_t)form->operation->done.value,
                                (size_t)form->operation->total.value);
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
        arena_done(arena);
        rc = ask(settings, "GET", VAULT_PATH, NULL, arena, form, err);
    }
    progress_end(&progress);
    if (rc != 0) {
        return -1;
    }
    if (form->operation == NULL || form->operation->id.value != id) {
        return err_set(err, ERR_UNAVAILABLE,
                       "the service was restarted, or another change was begun meanwhile; see vault status");
    }
    return strcmp(or_dash(form->operation->state), "Succeeded") == 0
               ? 0
               : err_set(err, ERR_UNAVAILABLE, "%s", or_dash(form->operation->message));
}

static int run_running(const struct vault_settings_given *settings, enum action action, struct arena *arena,
                       struct err *err) {
    struct vault_form form = {.source = NULL};

    if (action == STATUS) {
        if (ask(settings, "GET", VAULT_PATH, NULL, arena, &form, err) != 0) {
            return -1;
        }
        print_status(&form);
        return 0;
    }
    if (start_running(settings, action, arena, &form, err) != 0) {
        return -1;
    }
    if (form.operation == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "the service answered without saying what it has begun");
    }
    if (follow(settings, form.operation->id.value, arena, &form, err) != 0) {
        return -1;
    }
    print_outcome(action, &form, form.operation->message);
    return 0;
}

/* ---- a stopped one ---- */

/* As the API's trail has it. Stored when the state is closed. */
static void audit_change(struct state *state, enum action action) {
    static const char *const NAMES[ACTION_COUNT] = {[ROTATE] = "DataKeyRotation",
                                                    [CHANGE_ROOT] = "RootKeyChange",
                                                    [CANCEL_ROOT] = "RootKeyChangeCancellation"};
    char user[OFFLINE_USER_MAX];

    if (NAMES[action] != NULL) {
        state_audit(state, &(struct audit_entry){.event = AUDIT_VAULT,
                                                 .time_ms = clock_realtime_ms(),
                                                 .user = offline_user(user),
                                                 .verb = action == CANCEL_ROOT ? "delete" : "create",
                                                 .resource = "vault",
                                                 .name = NAMES[action]});
    }
}

static int change_stopped(const struct vault_settings_given *settings, struct state *state,
                          enum action action, const char **ret_message, struct err *err) {
    const struct vault_new_root new_root = {.key_file = settings->new_key_file,
                                            .passphrase_file = settings->new_passphrase_file};
    struct progress progress = progress_begin();
    const struct key_progress steps = {.step = progress_step, .arg = &progress};
    bool restart = false;
    int rc = 0;

    switch (action) {
    case ROTATE:
        rc = state_rotate_data_key(state, &steps, err);
        progress_end(&progress);
        break;
    case CHANGE_ROOT:
        rc = state_change_root_key(state, &new_root, &restart, err);
        *ret_message = restart ? "start the service with it as the source; until then either key opens the "
                                 "database, and the change can be cancelled"
                               : "the key file holds it; backups made before need the old one";
        break;
    case CANCEL_ROOT:
        rc = state_cancel_root_key_change(state, err);
        break;
    case STATUS:
    case ACTION_COUNT:
        break;
    }
    return rc;
}

static int run_stopped(const struct vault_settings_given *settings, struct store *store, enum action action,
                       struct arena *arena, struct err *err) {
    struct vault_report report;
    struct vault_form form;
    struct offline offline;
    const char *message = NULL;
    int rc;

    if (offline_open(&settings->offline, store, &offline, err) != 0) {
        return -1;
    }
    audit_change(offline.state, action);
    rc = change_stopped(settings, offline.state, action, &message, err);
    if (rc == 0) {
        rc = state_vault_report(offline.state, &report, err);
    }
    if (rc == 0) {
        rc = form_of_report(&report, arena, &form, err);
    }
    offline_close(&offline);
    if (rc == 0 && action == STATUS) {
        print_status(&form);
    } else if (rc == 0) {
        print_outcome(action, &form, message);
    }
    return rc;
}

/* ---- asking ---- */

/* The one change that cannot be taken back: a key that older backups need is gone afterwards. Where nobody
 * can be asked, only somebody who has thought of it may. */
static int confirm_replacement(bool yes, struct err *err) {
    char answer[16] = "";

    if (yes) {
        return 0;
    }
    if (isatty(STDIN_FILENO) != 1) {
        return err_set(err, ERR_USAGE,
                       "this would replace the root key's file, and backups made before need the key that is "
                       "in it now; keep a copy of it if you keep such backups, and say --yes");
    }
    fputs("This replaces the root key's file with a new key. Backups made before need the key that is in it "
          "now:\n"
          "keep a copy of it if you keep such backups. Replace it? [y/N] ",
          stderr);
    fflush(stderr);
    if (fgets(answer, sizeof answer, stdin) == NULL) {
        fputc('\n', stderr);
    }
    answer[strcspn(answer, "\r\n")] = '\0';
    return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0
               ? 0
               : err_set(err, ERR_UNAVAILABLE, "nothing was changed");
}

/* ---- the command ---- */

static int run_action(const struct vault_settings_given *settings, enum action action, struct err *err) {
    bool new_root = settings->new_key_file != NULL || settings->new_passphrase_file != NULL;
    struct store *store = NULL;
    struct arena arena;
    int rc;

    if (new_root && action != CHANGE_ROOT) {
        return err_set(err, ERR_USAGE,
                       "--new-key-file and --new-passphrase-file belong to vault change-root-key");
    }
    if (settings->new_key_file != NULL && settings->new_passphrase_file != NULL) {
        return err_set(
            err, ERR_USAGE,
            "a new root key comes from --new-key-file or from --new-passphrase-file, not from both");
    }
    if (action == CHANGE_ROOT && !new_root && confirm_replacement(settings->yes, err) != 0) {
        return -1;
    }
    if (process_harden(err) != 0 || random_start(err) != 0 || codec_start(err) != 0 ||
        offline_open_store(&settings->offline, &store, err) != 0) {
        return -1;
    }
    arena_init(&arena, 0);
    rc = store != NULL ? run_stopped(settings, store, action, &arena, err)
                       : run_running(settings, action, &arena, err);
    arena_done(&arena);
    return rc;
}

static enum action find_action(const char *name) {
    enum action action = STATUS;

    while (action < ACTION_COUNT && strcmp(ACTIONS[action], name) != 0) {
        action++;
    }
    return action;
}

static int run(const struct command *command, int argc, char **argv) {
    struct vault_settings_given settings = {.token_file = NULL};
    struct err err = ERR_INIT;
    const char *name = argc > 0 ? argv[0] : "";
    enum action action = find_action(name);
    bool wants_help = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    int rc;

    if (action != ACTION_COUNT &&
        options_parse(VARIABLE_PREFIX, command->options, command->option_count, argc - 1, argv + 1, &settings,
                      NULL, &wants_help, &err) != 0) {
        return command_failed(&err);
    }
    if (wants_help) {
        printf("bgppeerd vault status\n"
               "bgppeerd vault rotate-data-key\n"
               "bgppeerd vault change-root-key [--yes | --new-key-file FILE | --new-passphrase-file FILE]\n"
               "bgppeerd vault cancel-root-key-change\n\n");
        command_print_help(command);
        return CLI_OK;
    }
    if (action == ACTION_COUNT) {
        err_set(&err, ERR_USAGE,
                "write \"bgppeerd vault status\", \"vault rotate-data-key\", \"vault change-root-key\" or "
                "\"vault cancel-root-key-change\"");
        return command_failed(&err);
    }
    log_start(STDERR_FILENO, LOG_ERROR, LOG_KEY_VALUE);
    rc = run_action(&settings, action, &err);
    log_stop();
    return rc == 0 ? CLI_OK : command_failed(&err);
}

const struct command command_vault = {
    .name = "vault",
    .summary = "Show and change the keys that passwords are encrypted with",
    .options = OPTIONS,
    .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
    .run = run,
};
