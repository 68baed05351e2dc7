/*
 * The commands for people: what they ask of a running service, and how they show it. One thread.
 *
 * A command fills its settings, asks, and writes its answer into `out`, which goes to standard output at the
 * end. What goes wrong is told on standard error by people_run.
 */
#ifndef BGPPEERD_CLI_PEOPLE_PEOPLE_H
#define BGPPEERD_CLI_PEOPLE_PEOPLE_H

#include <jansson.h>
#include <limits.h>

#include "auth.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/options.h"
#include "cli_internal.h"
#include "client.h"
#include "model/object.h"

#define OURS "/apis/bgppeerd.io/v1/"
#define V3   "/apis/projectcalico.org/v3/"

/* What all of these commands take: the first member of every command's settings, so that one table of
 * options serves all, and the file of settings. */
struct people_settings {
    const char *config;
    const char *server;
    const char *token_file;
    const char *ca;
    const char *cert;
    const char *key;
    const char *output;
};

#define PEOPLE_OPTION_COUNT 7
extern const char *const PEOPLE_OUTPUTS[];
// clang-format off
#define PEOPLE_OPTIONS                                                                                       \
    {.name = "server", .value = "URL", .type = OPTION_TEXT, .offset = offsetof(struct people_settings, server), \
     .default_text = "http://127.0.0.1:8080", .help = "The service"},                                        \
    {.name = "token-file", .value = "FILE", .type = OPTION_TEXT,                                             \
     .offset = offsetof(struct people_settings, token_file),                                                 \
     .help = "The token to ask with; the first start of a service leaves one in DATA/admin.token"},          \
    {.name = "ca", .value = "FILE", .type = OPTION_TEXT, .offset = offsetof(struct people_settings, ca),     \
     .help = "Who vouches for the service; without it, the machine's authorities"},                          \
    {.name = "cert", .value = "FILE", .type = OPTION_TEXT, .offset = offsetof(struct people_settings, cert), \
     .help = "A client certificate, instead of a token"},                                                    \
    {.name = "key", .value = "FILE", .type = OPTION_TEXT, .offset = offsetof(struct people_settings, key),   \
     .help = "The key of the certificate; without it, it is in the certificate's file"},                     \
    {.name = "output", .letter = 'o', .value = "FORMAT", .type = OPTION_CHOICE, .choices = PEOPLE_OUTPUTS,   \
     .offset = offsetof(struct people_settings, output), .default_text = "text",                             \
     .help = "What to print; json and yaml are the service's whole answer"},                                 \
    {.name = "config", .value = "FILE", .type = OPTION_TEXT, .offset = offsetof(struct people_settings, config), \
     .help = "Settings as lines \"name = value\", of the options above; the environment and arguments win. " \
             "Without it, bgppeerd/client.conf in $XDG_CONFIG_HOME or ~/.config, if it is there"}
// clang-format on

struct people {
    const struct people_settings *settings; /* the beginning of the command's own */
    struct operands operands;
    struct arena arena; /* wiping */
    struct buf out;     /* wiping: a list may have passwords */
    bool is_terminal;   /* standard output */
    bool colour;

    struct client *client;
    char token[TOKEN_TEXT_MAX]; /* "": none */
    bool is_unreachable;        /* the service was not */
    json_t *refusal;            /* its Status; NULL: none */
    unsigned refusal_status;    /* HTTP's; 0: none */
};

/* A command's own part: a CLI_… status, or -1. */
typedef int people_act(struct people *people, struct err *err);
/* Read the settings, at most `operand_max` operands, and act. The exit status. */
int people_run(const struct command *command, int argc, char **argv, struct people_settings *settings,
               size_t settings_size, size_t operand_max, people_act *act);

/* ---- settings ---- */

/* Defaults, the file of settings, the environment, the arguments; the last wins. Checks them as well. They
 * live as long as the arena does. */
int people_read_settings(const struct command *command, int argc, char **argv,
                         struct people_settings *settings, size_t settings_size, struct operands *operands,
                         struct arena *arena, struct err *err) MUST_CHECK;
/* The token of the token file into people->token, or none. Warns when others may read the file. */
int people_read_token(struct people *people, struct err *err) MUST_CHECK;
/*
 * The operands from `first` on as one body: files, "-" is standard input. *ret_type: what it is, for
 * Content-Type. ERR_USAGE: there is no operand, or it cannot be read; ERR_TOO_LARGE.
 */
int people_read_body(struct people *people, size_t first, struct buf *ret, const char **ret_type,
                     struct err *err) MUST_CHECK;

/* ---- asking ---- */

struct people_request {
    const char *method; /* NULL: GET */
    const char *path;   /* with its query */
    const char *type;   /* of the body; NULL: JSON */
    const char *body;   /* NULL: none */
    size_t body_len;
    const char *reason;   /* for the change log; NULL: none */
    const char *if_match; /* a resourceVersion; NULL: none */
    const char *doing;    /* for the line of progress: "previewing" */
    bool warns_itself;    /* the answer's body has the warnings, and they are shown */
};

/*
 * Ask, and wait for the answer; with a line of progress when that takes long. The body is appended to `ret`.
 * What the service warns of goes to standard error. -1: it refused (people->refusal, for people_run), or was
 * not reached.
 */
int people_ask(struct people *people, const struct people_request *request, struct buf *ret,
               struct err *err) MUST_CHECK;
/* The same for an answer in JSON; json_decref() it. */
int people_ask_json(struct people *people, const struct people_request *request, json_t **ret,
                    struct err *err) MUST_CHECK;
/* Ask, and print the answer: by `show`, or as --output says. */
int people_ask_show(struct people *people, const struct people_request *request,
                    void (*show)(struct people *people, const json_t *answer), struct err *err) MUST_CHECK;
/* "What people wrote" as part of a path or of a query. */
void people_add_escaped(struct buf *path, const char *text);
/* Append "?name=text" or "&name=text"; `text` NULL: nothing. */
void people_add_query(struct buf *path, const char *name, const char *text);
/* Tell what failed, with the service's causes. The exit status. */
int people_tell(const struct people *people, const struct err *err);

/* A kind by its name in any case, or by its plural; NULL: there is none. */
const struct kind_info *people_find_kind(const char *name);

/* ---- showing ---- */

enum mark { MARK_NONE, MARK_HEAD, MARK_ADD, MARK_REMOVE, MARK_CHANGE, MARK_WARN, MARK_FAINT, MARK_COUNT };

/*
 * One line of `out`: `indent` blanks, the mark and its colour, the text. Whatever steers terminals in it is
 * shown as \x1b.
 */
void show_line(struct people *people, enum mark mark, size_t indent, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Text for standard error or for `out`, made harmless. */
void show_harmless(struct buf *out, const char *text);

#define TABLE_COLUMNS_MAX 8
struct show_table_row;
struct show_table {
    struct people *people;
    size_t columns;
    struct show_table_row *first, **end;
};
/* Rows whose columns are aligned; what has nothing in any row is left out. `headings` NULL: none. */
void show_table_begin(struct show_table *table, struct people *people, size_t columns,
                      const char *const *headings);
/* Texts are borrowed until show_table_end; NULL: nothing. */
void show_table_row(struct show_table *table, enum mark mark, const char *const *cells);
void show_table_end(struct show_table *table, size_t indent);

/* A member as text: numbers in digits, lists and objects as compact JSON; "" when it is absent. The member's
 * own, or in the arena. */
const char *json_text(struct people *people, const json_t *object, const char *member);
const char *json_value_text(struct people *people, const json_t *value);
uint64_t json_number(const json_t *object, const char *member);
/* "1 session", "2 sessions" */
const char *json_count_text(struct people *people, uint64_t count, const char *one, const char *many);

/* Append it as jansson's `flags` say. */
void json_write(const json_t *value, size_t flags, struct buf *out);
/* --output json or yaml; false: it is text. */
bool people_wants_document(const struct people *people);
/* A document as --output says: JSON with indents, or YAML. */
void people_write(struct people *people, const json_t *document);
/* The same as YAML, with a line "---" before it. */
void people_write_yaml(struct people *people, const json_t *document);

/* ---- effects of changes ---- */

/* A preview's `changes`: totals in a sentence, then each node's sessions. `heads`: the sentence only. */
void effect_show_totals(struct people *people, const json_t *changes, bool is_past);
void effect_show_nodes(struct people *people, const json_t *changes);
/* `results` of a preview or an apply; the objects that did not change are counted. */
void effect_show_results(struct people *people, const json_t *results);
/* `warnings`. */
void effect_show_warnings(struct people *people, const json_t *warnings);
uint64_t effect_disruptive(const json_t *answer);
/* Of a session: the other end's address, with its port if it has one of its own; what an `origin` names. */
const char *session_peer_text(struct people *people, const json_t *session);
const char *session_origin_text(struct people *people, const json_t *origin);

#endif
