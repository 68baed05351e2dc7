/*
 * API client: where the service of a data directory listens, as whom to ask, and what its refusals mean. The
 * requests are those of the client room. A struct call lives for one of them. Main thread only.
 */
#include "api_client.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "codec.h"
#include "datafile.h"

#define BACKUP_SECONDS  3600 /* until the first byte of a backup, and between two */
#define QUIET_SECONDS   30
#define LISTEN_FILE_MAX 65536
#define ANSWER_MAX      ((size_t)64 * 1024 * 1024)

struct call {
    char origin[HTTP_ADDRESS_TEXT_MAX + 8]; /* "http://127.0.0.1:8080" */
    char cert_file[PATH_MAX];               /* "" = plain */
    char token[TOKEN_TEXT_MAX];             /* "" = none */
};

/* ---- where, and as whom ---- */

/* The listener to use: a plain one if there is any, because it needs no trust in a certificate. */
static int choose_listener(struct call *call, char *text, struct err *err) {
    for (char *line = strtok_r(text, "\n", &text); line != NULL; line = strtok_r(NULL, "\n", &text)) {
        bool tls = strncmp(line, "https://", 8) == 0;
        size_t len = strcspn(line, " ");
        if ((!tls && strncmp(line, "http://", 7) != 0) || len >= sizeof(call->origin)) {
            continue;
        }
        if (call->origin[0] == '\0' || !tls) {
            snprintf(call->origin, sizeof(call->origin), "%.*s", (int)len, line);
            snprintf(call->cert_file, sizeof(call->cert_file), "%s",
                     tls && line[len] == ' ' ? line + len + 1 : "");
        }
        if (!tls) {
            break;
        }
    }
    return call->origin[0] != '\0'
               ? 0
               : err_set(err, ERR_UNAVAILABLE, "the file \"listen\" in the data directory names no address");
}

static int find_service(struct call *call, const char *data_dir, struct err *err) {
    struct buf text = BUF_INIT;
    int result = datafile_read(data_dir, DATAFILE_LISTEN, LISTEN_FILE_MAX, &text, err);

    if (result == 0) {
        result = choose_listener(call, text.data, err);
    } else if (err->code == ERR_NOT_FOUND) {
        result = err_set(
            err, ERR_UNAVAILABLE,
            "a process has the data directory %s, but does not say where it listens (there is no file "
            "\"listen\" in it); it may be starting or stopping: try again in a moment",
            data_dir);
    }
    buf_done(&text);
    return result;
}

static int read_token(struct call *call, const char *data_dir, const char *token_file, struct err *err) {
    struct buf text = BUF_INIT;
    int result = token_file != NULL ? datafile_read(NULL, token_file, 1024, &text, err)
                                    : datafile_read(data_dir, DATAFILE_ADMIN_TOKEN, 1024, &text, err);

    if (result == 0) {
        text.data[strcspn(text.data, "\r\n")] = '\0';
        if (strlen(text.data) != TOKEN_TEXT_MAX - 1) {
            result = err_set(err, ERR_USAGE, "the token file does not hold a token (bpd_…)");
        } else {
            memcpy(call->token, text.data, TOKEN_TEXT_MAX);
        }
    } else if (err->code == ERR_NOT_FOUND && token_file == NULL) {
        err_clear(err);
        result = 0; /* a service that runs with --no-auth makes none; others will say so */
    } else if (err->code == ERR_NOT_FOUND) {
        err->code = ERR_USAGE;
        err_wrap(err, "an admin token is needed to ask the running service; name its file with --token-file");
    }
    buf_done(&text);
    return result;
}

/* ---- the request ---- */

/* The service's refusal as an error with its own words. */
static int refused(const struct call *call, const struct client_answer *answer, struct err *err) {
    unsigned status = answer->status;
    if (status == 401 && call->token[0] == '\0') {
        return err_set(err, ERR_UNAUTHORIZED,
                       "the running service wants an admin token, and there is no " DATAFILE_ADMIN_TOKEN
                       " in its data directory: name a file with one by --token-file; when there is none any "
                       "more, stop the service and run \"bgppeerd token create --role admin\"");
    }
    struct arena arena;
    arena_init(&arena, 0);
    const char *message = codec_status_message(answer->body.data, answer->body.len, &arena);
    err_set(err,
            status == 404   ? ERR_NOT_FOUND
            : status == 401 ? ERR_UNAUTHORIZED
            : status == 403 ? ERR_FORBIDDEN
            : status < 500  ? ERR_USAGE
                            : ERR_UNAVAILABLE,
            "the service answered %u: %s", status, message != NULL ? message : "no reason given");
    arena_done(&arena);
    return -1;
}

/* One request, to its end. The answer's body goes to `ret` unless it is NULL. */
static int run_call(const struct call *call, const struct client_request *request, struct buf *ret,
                    struct err *err) {
    struct client *client = NULL;
    struct client_call *running = NULL;
    struct client_answer *answer = NULL;
    int result = client_new(&client, err);
    if (result == 0) {
        result = client_start(client, request, &running, err);
    }
    while (result == 0 && !client_finished(running)) {
        client_turn(client, NULL, 0, 1000);
    }
    if (result == 0) {
        result = client_result(running, &answer, err);
    }
    if (result == 0 && answer->status / 100 != 2) {
        result = refused(call, answer, err);
    }
    if (result == 0 && ret != NULL) {
        ret->wipe = true;
        buf_add(ret, answer->body.data != NULL ? answer->body.data : "", answer->body.len);
        result = buf_failed(ret) ? err_no_memory(err) : 0;
    }
    client_end(running);
    client_free(client);
    return result;
}

/* Complete `request` for the service that runs on a data directory, and run it. `public`: without a
 * credential. */
static int ask_service(const char *data_dir, bool public, const char *token_file, const char *path,
                       struct client_request *request, struct buf *ret, struct err *err) {
    struct call call = {.origin = ""};
    struct buf url = BUF_INIT;
    int result = find_service(&call, data_dir, err);
    if (result == 0 && !public) {
        result = read_token(&call, data_dir, token_file, err);
    }
    if (result == 0) {
        buf_printf(&url, "%s%s", call.origin, path);
        result = buf_failed(&url) ? err_no_memory(err) : 0;
    }
    if (result == 0) {
        request->url = url.data;
        request->token = call.token[0] != '\0' ? call.token : NULL;
        request->same_as = call.cert_file[0] != '\0' ? call.cert_file : NULL;
        request->answer_max = ANSWER_MAX;
        result = run_call(&call, request, ret, err);
    }
    buf_done(&url);
    explicit_bzero(call.token, sizeof(call.token));
    return result;
}

int api_request(const char *data_dir, const char *token_file, const char *method, const char *path,
                const char *body, struct buf *ret, struct err *err) {
    static const char *const JSON_BODY[] = {"Content-Type: application/json", NULL};
    struct client_request request = {
        .method = method, .body = body, .quiet_seconds = QUIET_SECONDS, .file = -1};
    if (body != NULL) {
        request.body_len = strlen(body);
        request.headers = JSON_BODY;
    }
    return ask_service(data_dir, false, token_file, path, &request, ret, err);
}

int api_download(const char *data_dir, const char *token_file, const char *path, int fd, struct err *err) {
    struct client_request request = {.quiet_seconds = BACKUP_SECONDS, .file = fd};
    return ask_service(data_dir, false, token_file, path, &request, NULL, err);
}

int api_health(const char *data_dir, const char *path, unsigned seconds, struct err *err) {
    struct client_request request = {.method = "GET", .quiet_seconds = seconds, .file = -1};
    return ask_service(data_dir, true, NULL, path, &request, NULL, err);
}
