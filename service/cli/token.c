/*
 * `bgppeerd token create | list | revoke`: on the store itself when the service is stopped, over its API when
 * it runs. Main thread only. A new token's text goes to standard output and nowhere else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_client.h"
#include "auth.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/process.h"
#include "base/random.h"
#include "cli_internal.h"
#include "codec.h"
#include "model/object.h"
#include "offline.h"
#include "state.h"
#include "store.h"

#define TOKENS_PATH "/apis/bgppeerd.io/v1/tokens"
#define DAY_MS      (24 * 3600 * INT64_C(1000))
#define DAYS_MAX    36500

struct token_settings {
    struct offline_options offline;
    const char *role;
    const char *node;
    const char *expires;
    const char *description;
    const char *token_file;
};

static const char *const ROLES[] = {"admin", "operator", "viewer", "node", NULL};

#define MEMBER(name) offsetof(struct token_settings, name)

static const struct option OPTIONS[] = {
    {.name = "data-dir",
     .value = "DIR",
     .type = OPTION_TEXT,
     .offset = MEMBER(offline.data_dir),
     .default_text = "./data",
     .help = "The service's data directory"},
    STORE_OPTIONS(MEMBER(offline.store)),
    {.name = "vault-key-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(offline.vault_key_file),
     .help = "create, with the service stopped: the root key's file, as for serve; a token carries its mark"},
    {.name = "vault-passphrase-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(offline.vault_passphrase_file),
     .help = "create, with the service stopped: the root key's passphrase, as for serve"},
    {.name = "role",
     .value = "ROLE",
     .type = OPTION_CHOICE,
     .offset = MEMBER(role),
     .choices = ROLES,
     .help = "create: what the token may do"},
    {.name = "node",
     .value = "NAME",
     .type = OPTION_TEXT,
     .offset = MEMBER(node),
     .help = "create: the node that a token of role node belongs to"},
    {.name = "expires",
     .value = "WHEN",
     .type = OPTION_TEXT,
     .offset = MEMBER(expires),
     .help =
         "create: when the token ends: 90d, 720h, or a time such as 2027-01-31T00:00:00Z; without it, never"},
    {.name = "description",
     .value = "TEXT",
     .type = OPTION_TEXT,
     .offset = MEMBER(description),
     .help = "create: a line for people, shown in lists"},
    {.name = "token-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(token_file),
     .help = "The admin token to ask a running service with; without it, admin.token in the data directory"},
};

/* ---- output ---- */

static void print_header(void) {
    printf("%-16s  %-8s  %-24s  %-20s  %-20s  %-20s  %s\n", "ID", "ROLE", "NODE", "CREATED", "EXPIRES",
           "LAST USED", "DESCRIPTION");
}

static const char *or_dash(const char *text) {
    return text != NULL && text[0] != '\0' ? text : "-";
}

static void print_row(const char *id, const char *role, const char *node, const char *created,
                      const char *expires, const char *used, const char *description) {
    printf("%-16s  %-8s  %-24s  %-20s  %-20s  %-20s  %s\n", or_dash(id), or_dash(role), or_dash(node),
           or_dash(created), expires != NULL && expires[0] != '\0' ? expires : "never",
           used != NULL && used[0] != '\0' ? used : "never", description != NULL ? description : "");
}

static int print_new(const char *id, const char *text, struct err *err) {
    fprintf(stderr, "bgppeerd: made token %s; this is the only time it is shown:\n", id);
    printf("%s\n", text);
    return fflush(stdout) == 0
               ? 0
               : err_set(err, ERR_UNAVAILABLE,
                         "the token %s was made but could not be printed; revoke it and make another", id);
}

static const char *time_text(int64_t time_ms, char out[CLOCK_TEXT_MAX]) {
    out[0] = '\0';
    if (time_ms != 0) {
        clock_format_seconds(time_ms, out);
    }
    return out;
}

/* ---- a stopped service ---- */

static int create_stopped(struct store *store, const struct token_settings *settings, int64_t expires_ms,
                          struct err *err) {
    char text[TOKEN_TEXT_MAX], user[OFFLINE_USER_MAX];
    struct vault_options options = offline_vault_options(&settings->offline);
    struct vault *vault = NULL;
    struct token token;
    enum role role = ROLE_NONE;
    int rc;

    (void)role_parse(settings->role, &role);
    if (token_new(role, settings->node, settings->description, expires_ms, &token, text, err) != 0) {
        err->code = ERR_USAGE;
        return -1;
    }
    options.must_exist = true;
    rc = state_open_vault(store, &options, &vault, err);
    if (rc == 0) {
        rc = state_store_token(store, vault, &token, offline_user(user), err);
    }
    vault_close(vault);
    if (rc == 0) {
        rc = print_new(token.id, text, err);
    }
    explicit_bzero(text, sizeof text);
    return rc;
}

static int list_stopped(struct store *store, struct err *err) {
    struct token_registry *registry;
    struct token *tokens = NULL;
    size_t count = 0, damaged;
    int rc;

    if (token_registry_new(&registry, err) != 0) {
        return -1;
    }
    rc = state_load_tokens(store, NULL, registry, &damaged, err);
    if (rc == 0) {
        rc = token_registry_list(registry, &tokens, &count, err);
    }
    if (rc == 0) {
        print_header();
    }
    for (size_t i = 0; i < count; i++) {
        char created[CLOCK_TEXT_MAX], expires[CLOCK_TEXT_MAX], used[CLOCK_TEXT_MAX];

        print_row(tokens[i].id, role_name(tokens[i].role), tokens[i].node,
                  time_text(tokens[i].created_ms, created), time_text(tokens[i].expires_ms, expires),
                  time_text(tokens[i].last_used_ms, used), tokens[i].description);
    }
    free(tokens);
    token_registry_free(registry);
    return rc;
}

/* ---- a running service ---- */

static int create_running(const struct token_settings *settings, int64_t expires_ms, struct err *err) {
    struct buf body = BUF_INIT, answer = {.wipe = true};
    char expires[CLOCK_TEXT_MAX];
    struct token_form form = {.spec = NULL};
    struct arena arena;
    int rc;

    buf_add_str(&body, "{\"spec\":{");
    buf_json_member_str(&body, "role", settings->role);
    buf_json_member_str(&body, "node", settings->node);
    buf_json_member_str(&body, "description", settings->description);
    buf_json_member_str(&body, "expires", expires_ms != 0 ? time_text(expires_ms, expires) : NULL);
    buf_add_str(&body, "}}");
    arena_init(&arena, 0);
    arena.wipe = true;
    rc = buf_failed(&body) ? err_no_memory(err)
                           : api_request(settings->offline.data_dir, settings->token_file, "POST",
                                         TOKENS_PATH, body.data, &answer, err);
    if (rc == 0) {
        rc = codec_decode_token(CODEC_JSON, answer.data, answer.len, &arena, &form, err);
    }
    if (rc == 0) {
        bool whole = form.metadata != NULL && form.metadata->name != NULL && form.status != NULL &&
                     form.status->token != NULL;

        rc = whole ? print_new(form.metadata->name, form.status->token, err)
                   : err_set(err, ERR_UNAVAILABLE, "the service answered without a token");
    }
    arena_done(&arena);
    buf_done(&answer);
    buf_done(&body);
    return rc;
}

static int list_running(const struct token_settings *settings, struct err *err) {
    struct buf answer = BUF_INIT;
    struct arena arena;
    struct list list = {.count = 0};
    int rc =
        api_request(settings->offline.data_dir, settings->token_file, "GET", TOKENS_PATH, NULL, &answer, err);

    arena_init(&arena, 0);
    if (rc == 0) {
        rc = codec_decode_token_list(answer.data, answer.len, &arena, &list, err);
    }
    if (rc == 0) {
        print_header();
    }
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        const struct token_form *form = &((const struct token_form *)list.items)[i];
        const struct token_form_meta meta =
            form->metadata != NULL ? *form->metadata : (struct token_form_meta){0};
        const struct token_form_spec spec = form->spec != NULL ? *form->spec : (struct token_form_spec){0};

        print_row(meta.name, spec.role, spec.node, meta.creation_timestamp, spec.expires,
                  form->status != NULL ? form->status->last_used : NULL, spec.description);
    }
    arena_done(&arena);
    buf_done(&answer);
    return rc;
}

static int revoke_running(const struct token_settings *settings, const char *id, struct err *err) {
    char path[sizeof TOKENS_PATH + TOKEN_ID_MAX + 1];
    struct buf answer = BUF_INIT;
    int rc;

    snprintf(path, sizeof path, TOKENS_PATH "/%s", id);
    rc = api_request(settings->offline.data_dir, settings->token_file, "DELETE", path, NULL, &answer, err);
    buf_done(&answer);
    return rc;
}

/* ---- the command ---- */

/* "90d", "720h30m", or RFC 3339. */
static int parse_expiry(const char *text, int64_t *ret_ms, struct err *err) {
    uint64_t days;
    int64_t ns;
    size_t len;

    *ret_ms = 0;
    if (text == NULL) {
        return 0;
    }
    len = strlen(text);
    if (len > 1 && text[len - 1] == 'd' && u64_parse(text, len - 1, DAYS_MAX, &days) && days > 0) {
        *ret_ms = clock_realtime_ms() + (int64_t)days * DAY_MS;
    } else if (duration_parse(text, len, &ns) && ns > 0) {
        *ret_ms = clock_realtime_ms() + ns / 1000000;
    } else if (!clock_parse(text, len, ret_ms) || *ret_ms <= 0) {
        return err_set(err, ERR_USAGE,
                       "--expires \"%.64s\" is not understood; write 90d, 720h, or a time such as "
                       "2027-01-31T00:00:00Z",
                       text);
    }
    return 0;
}

static int check_create(const struct token_settings *settings, struct err *err) {
    char why[256];

    if (settings->role == NULL) {
        return err_set(err, ERR_USAGE, "token create needs --role: admin, operator, viewer or node");
    }
    if (settings->node != NULL && !name_is_valid(settings->node, why, sizeof why)) {
        return err_set(err, ERR_USAGE, "--node \"%.100s\" is not the name of a node: %s", settings->node,
                       why);
    }
    return 0;
}

/* What would do nothing is hardly meant so: nobody should take a whole list for that of one role. */
static int check_other(const char *action, const struct token_settings *settings, struct err *err) {
    const char *option = settings->role != NULL          ? "--role"
                         : settings->node != NULL        ? "--node"
                         : settings->expires != NULL     ? "--expires"
                         : settings->description != NULL ? "--description"
                                                         : NULL;

    return option == NULL
               ? 0
               : err_set(err, ERR_USAGE, "%s belongs to token create, not to token %s", option, action);
}

static int run_action(const char *action, const char *id, const struct token_settings *settings,
                      struct err *err) {
    bool create = strcmp(action, "create") == 0, list = strcmp(action, "list") == 0;
    char user[OFFLINE_USER_MAX];
    struct store *store;
    int64_t expires_ms = 0;
    int rc;

    if ((create &&
         (check_create(settings, err) != 0 || parse_expiry(settings->expires, &expires_ms, err) != 0)) ||
        (!create && check_other(action, settings, err) != 0) ||
        offline_open_store(&settings->offline, &store, err) != 0) {
        return -1;
    }
    if (store == NULL) {
        return create ? create_running(settings, expires_ms, err)
               : list ? list_running(settings, err)
                      : revoke_running(settings, id, err);
    }
    rc = create ? create_stopped(store, settings, expires_ms, err)
         : list ? list_stopped(store, err)
                : state_drop_token(store, id, offline_user(user), err);
    store_close(store);
    return rc;
}

static int run(const struct command *command, int argc, char **argv) {
    struct token_settings settings = {.role = NULL};
    struct err err = ERR_INIT;
    const char *action = argc > 0 ? argv[0] : "";
    bool revoke = strcmp(action, "revoke") == 0;
    bool known = revoke || strcmp(action, "create") == 0 || strcmp(action, "list") == 0;
    bool wants_help = strcmp(action, "--help") == 0 || strcmp(action, "-h") == 0;
    const char *id = NULL;

    if (known && options_parse(VARIABLE_PREFIX, command->options, command->option_count, argc - 1, argv + 1,
                               &settings, revoke ? &id : NULL, &wants_help, &err) != 0) {
        return command_failed(&err);
    }
    if (wants_help) {
        printf("bgppeerd token create --role ROLE [--node NAME] [--expires WHEN] [--description TEXT]\n"
               "bgppeerd token list\n"
               "bgppeerd token revoke ID\n\n");
        command_print_help(command);
        return CLI_OK;
    }
    if (!known) {
        err_set(&err, ERR_USAGE, "write \"bgppeerd token create\", \"token list\" or \"token revoke ID\"");
    } else if (revoke && (id == NULL || !token_id_is_valid(id))) {
        err_set(&err, ERR_USAGE,
                "token revoke needs the id of a token: %d hex digits, as \"bgppeerd token list\" shows them",
                TOKEN_ID_LENGTH);
    } else if (process_harden(&err) == 0 && random_start(&err) == 0 && codec_start(&err) == 0 &&
               run_action(action, id, &settings, &err) == 0) {
        if (revoke) {
            fprintf(stderr, "bgppeerd: revoked token %s\n", id);
        }
        return CLI_OK;
    }
    return command_failed(&err);
}

const struct command command_token = {
    .name = "token",
    .summary = "Make, list and revoke the tokens of callers",
    .options = OPTIONS,
    .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
    .run = run,
};
