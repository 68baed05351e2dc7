/*
 * Asking the service: one request at a time over the client room, with a line of progress on a terminal; its
 * warnings and refusals for people. Main thread only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/process.h"
#include "base/random.h"
#include "codec.h"
#include "people/people.h"

#define CONNECT_SECONDS  10
#define QUIET_SECONDS    600 /* a preview of a whole fleet, or a wait, says nothing meanwhile */
#define ANSWER_MAX       ((size_t)256 * 1024 * 1024)
#define PROGRESS_MS      1000 /* after so long there is a line of it */
#define PROGRESS_TURN_MS 250

/* ---- paths ---- */

void people_add_escaped(struct buf *path, const char *text) {
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        bool plain = (*c >= '0' && *c <= '9') || ((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z') ||
                     strchr("-._~:", *c) != NULL;
        if (plain) {
            buf_add_char(path, (char)*c);
        } else {
            buf_printf(path, "%%%02X", *c);
        }
    }
}

void people_add_query(struct buf *path, const char *name, const char *text) {
    if (text != NULL) {
        buf_printf(path, "%c%s=", path->data != NULL && strchr(path->data, '?') != NULL ? '&' : '?', name);
        people_add_escaped(path, text);
    }
}

/* ---- progress ---- */

struct progress {
    int64_t start_ms;
    bool is_wanted;
    bool is_shown;
};

static struct progress progress_begin(void) {
    const char *terminal = getenv("TERM");
    return (struct progress){.start_ms = clock_monotonic_ms(),
                             .is_wanted = isatty(STDERR_FILENO) == 1 && terminal != NULL &&
                                          strcmp(terminal, "dumb") != 0};
}

static void progress_show(struct progress *progress, const char *doing) {
    int64_t gone_ms = clock_monotonic_ms() - progress->start_ms;
    if (progress->is_wanted && gone_ms >= PROGRESS_MS) {
        fprintf(stderr, "\rbgppeerd: %s, %lld s ", doing, (long long)(gone_ms / 1000));
        fflush(stderr);
        progress->is_shown = true;
    }
}

static void progress_end(const struct progress *progress) {
    if (progress->is_shown) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
    }
}

/* ---- warnings ---- */

/* `299 - "a \"quoted\" text"` */
static void tell_warning(struct people *people, const char *value, size_t len) {
    const char *at = memchr(value, '"', len), *end = value + len;
    struct buf text = BUF_INIT, safe = BUF_INIT;
    (void)people;
    for (at = at != NULL ? at + 1 : end; at < end && *at != '"'; at++) {
        at += *at == '\\' && at + 1 < end;
        buf_add_char(&text, *at);
    }
    show_harmless(&safe, text.data != NULL ? text.data : "");
    fprintf(stderr, "bgppeerd: warning: %s\n", safe.data != NULL ? safe.data : "");
    buf_done(&text);
    buf_done(&safe);
}

static void tell_warnings(struct people *people, const struct client_answer *answer) {
    for (const char *line = answer->headers.data; line != NULL && *line != '\0';) {
        size_t len = strcspn(line, "\r\n");
        if (len > 8 && strncasecmp(line, "warning:", 8) == 0) {
            tell_warning(people, line + 8, len - 8);
        }
        line += len;
        line += strspn(line, "\r\n");
    }
}

/* ---- refusals ---- */

/* The service's Status, or whatever a proxy says. */
static int refused(struct people *people, const struct client_answer *answer, struct err *err) {
    json_t *status =
        json_loadb(answer->body.data != NULL ? answer->body.data : "", answer->body.len, 0, NULL);
    const char *message = json_string_value(json_object_get(status, "message"));
    const char *reason = json_string_value(json_object_get(status, "reason"));
    json_decref(people->refusal);
    people->refusal = status;
    people->refusal_status = answer->status;
    if (answer->status == 401 && people->token[0] == '\0' && people->settings->cert == NULL) {
        return err_set(err, ERR_UNAUTHORIZED,
                       "the service wants to know who asks: name a file with a token by --token-file, the "
                       "variable BGPPEERD_TOKEN_FILE, or a line \"token-file = …\" in the file of settings");
    }
    size_t mistakes = json_array_size(json_object_get(json_object_get(status, "details"), "causes"));
    const char *what = answer->status < 500 ? "refused" : "the service failed";
    bool has_reason = reason != NULL && reason[0] != '\0';
    if (mistakes > 1 && message != NULL && message[0] == '[') { /* all of them in one line */
        message = "for more than one reason";
    } else if (message == NULL) {
        message = "it gives no reason, so this may not be bgppeerd: is --server right?";
    }
    return err_set(err, answer->status < 500 ? ERR_BAD_REQUEST : ERR_UNAVAILABLE, "%s (%u%s%.60s): %.900s",
                   what, answer->status, has_reason ? " " : "", has_reason ? reason : "", message);
}

/* Causes that say more than the message does. */
static void tell_causes(const struct people *people, const char *told) {
    const json_t *causes = json_object_get(json_object_get(people->refusal, "details"), "causes");
    size_t i;
    const json_t *cause;
    json_array_foreach(causes, i, cause) {
        const char *field = json_string_value(json_object_get(cause, "field"));
        const char *message = json_string_value(json_object_get(cause, "message"));
        struct buf safe = BUF_INIT, text = BUF_INIT;
        bool has_field = field != NULL && field[0] != '\0';
        buf_printf(&text, "%s%s%s", has_field ? field : "", has_field ? ": " : "",
                   message != NULL ? message : "");
        if (!buf_failed(&text) && strstr(told, text.data) == NULL) {
            show_harmless(&safe, text.data);
            fprintf(stderr, "  %s\n", safe.data != NULL ? safe.data : "");
        }
        buf_done(&safe);
        buf_done(&text);
    }
}

int people_tell(const struct people *people, const struct err *err) {
    struct buf safe = BUF_INIT;
    show_harmless(&safe, err->text);
    fprintf(stderr, "bgppeerd: %s\n", safe.data != NULL ? safe.data : err->text);
    buf_done(&safe);
    tell_causes(people, err->text);
    return people->is_unreachable ? CLI_UNREACHABLE : command_status(err);
}

/* ---- requests ---- */

static int add_headers(struct people *people, const struct people_request *request, const char *ret[4],
                       struct err *err) {
    size_t count = 0;
    if (request->body != NULL) {
        ret[count++] = arena_printf(&people->arena, "Content-Type: %s",
                                    request->type != NULL ? request->type : "application/json");
    }
    if (request->reason != NULL) {
        ret[count++] = arena_printf(&people->arena, "Bgppeerd-Reason: %s", request->reason);
    }
    if (request->if_match != NULL) {
        ret[count++] = arena_printf(&people->arena, "If-Match: \"%s\"", request->if_match);
    }
    ret[count] = NULL;
    return people->arena.failed ? err_no_memory(err) : 0;
}

static int start_call(struct people *people, const struct people_request *request, struct client_call **ret,
                      struct err *err) {
    const struct people_settings *settings = people->settings;
    const char *headers[4], *server = settings->server;
    size_t len = strlen(server);
    while (len > 0 && server[len - 1] == '/') {
        len--;
    }
    const char *url = arena_printf(&people->arena, "%.*s%s", (int)len, server, request->path);
    if (add_headers(people, request, headers, err) != 0) {
        return -1;
    }
    struct client_request call = {.method = request->method,
                                  .url = url,
                                  .token = people->token[0] != '\0' ? people->token : NULL,
                                  .headers = headers,
                                  .body = request->body,
                                  .body_len = request->body_len,
                                  .ca_file = settings->ca,
                                  .cert_file = settings->cert,
                                  .key_file = settings->key,
                                  .connect_seconds = CONNECT_SECONDS,
                                  .quiet_seconds = QUIET_SECONDS,
                                  .answer_max = ANSWER_MAX,
                                  .file = -1};
    return people->client == NULL && client_new(&people->client, err) != 0
               ? -1
               : client_start(people->client, &call, ret, err);
}

int people_ask(struct people *people, const struct people_request *request, struct buf *ret,
               struct err *err) {
    struct client_call *call = NULL;
    struct client_answer *answer = NULL;
    if (start_call(people, request, &call, err) != 0) {
        return -1;
    }
    struct progress progress = progress_begin();
    while (!client_finished(call)) {
        client_turn(people->client, NULL, 0, PROGRESS_TURN_MS);
        progress_show(&progress, request->doing != NULL ? request->doing : "waiting for the answer");
    }
    progress_end(&progress);
    int result = client_result(call, &answer, err);
    if (result != 0) {
        people->is_unreachable = err->code == ERR_UNAVAILABLE;
    } else if (answer->status / 100 != 2) {
        result = refused(people, answer, err);
    } else {
        if (!request->warns_itself) {
            tell_warnings(people, answer);
        }
        buf_add(ret, answer->body.data != NULL ? answer->body.data : "", answer->body.len);
        result = buf_failed(ret) ? err_no_memory(err) : 0;
    }
    client_end(call);
    return result;
}

int people_ask_json(struct people *people, const struct people_request *request, json_t **ret,
                    struct err *err) {
    struct buf body = {.wipe = true};
    int result = people_ask(people, request, &body, err);
    if (result == 0) {
        *ret = json_loadb(body.data, body.len, 0, NULL);
        result = json_is_object(*ret) ? 0
                                      : err_set(err, ERR_UNAVAILABLE,
                                                "the answer is not what bgppeerd says: is --server right?");
    }
    buf_done(&body);
    return result;
}

int people_ask_show(struct people *people, const struct people_request *request,
                    void (*show)(struct people *people, const json_t *answer), struct err *err) {
    json_t *answer = NULL;
    int result = people_ask_json(people, request, &answer, err);
    if (result == 0 && people_wants_document(people)) {
        people_write(people, answer);
    } else if (result == 0) {
        show(people, answer);
    }
    json_decref(answer);
    return result;
}

/* ---- the life of a command ---- */

static bool wants_colour(bool is_terminal) {
    const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return is_terminal && (no == NULL || no[0] == '\0') && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

static int act_and_print(struct people *people, people_act *act, struct err *err) {
    int status = process_harden(err) != 0 || codec_start(err) != 0 || people_read_token(people, err) != 0
                     ? -1
                     : act(people, err);
    if (status >= 0 && (buf_failed(&people->out) || people->arena.failed)) {
        status = err_no_memory(err);
    }
    if (people->out.len > 0 && !buf_failed(&people->out)) {
        (void)fwrite(people->out.data, 1, people->out.len, stdout); /* cli_run tells of what fails */
    }
    return status >= 0 ? status : people_tell(people, err);
}

int people_run(const struct command *command, int argc, char **argv, struct people_settings *settings,
               size_t settings_size, size_t operand_max, people_act *act) {
    struct err err = ERR_INIT;
    struct people people = {
        .settings = settings, .operands = {.max = operand_max}, .is_terminal = isatty(STDOUT_FILENO) == 1};
    if (options_want_help(argc, argv)) {
        command_print_help(command);
        return CLI_OK;
    }
    arena_init(&people.arena, 0);
    people.arena.wipe = true;
    if (people_read_settings(command, argc, argv, settings, settings_size, &people.operands, &people.arena,
                             &err) != 0) {
        arena_done(&people.arena);
        return command_failed(&err);
    }
    people.colour = wants_colour(people.is_terminal);
    people.out.wipe = true;
    int status = act_and_print(&people, act, &err);
    client_free(people.client);
    json_decref(people.refusal);
    buf_done(&people.out);
    arena_done(&people.arena);
    explicit_bzero(people.token, sizeof(people.token));
    return status;
}
