/*
 * Polling. A struct poll owns its call and the text of the newest list; main thread.
 *
 * Nothing here can spin: a failed request waits, and so does one that was answered without news before its
 * time, as a proxy that strips If-None-Match or wait= would do.
 */
#include "poll.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/number.h"
#include "base/random.h"
#include "driver.h"
#include "file.h"

#define NODES_PATH      "/apis/projectcalico.org/v3/nodes/"
#define BACK_OFF_MAX_MS 60000
#define BACK_OFF_MIN_MS 1000
#define NEXT_SERVER_MS  100 /* before another one is tried, jittered */
#define WAIT_MIN_S      5
#define WAIT_GRACE_S    10 /* beyond the wait and its sixteenth */
#define CONNECT_S       5
#define GOOD_WAITS      20 /* until a longer wait is tried again */
#define TOKEN_FILE_MAX  4096

/* Between a half of it and all. */
static int64_t poll_jitter(int64_t ms) {
    return ms / 2 + (int64_t)(random_u64() % (uint64_t)(ms / 2 + 1));
}

void poll_init(struct poll *poll, const struct agent_settings *settings, struct client *client,
               const char *etag, uint64_t revision) {
    *poll = (struct poll){.settings = settings,
                          .client = client,
                          .wait_seconds = settings->wait_seconds,
                          .revision = revision,
                          .server = (size_t)(random_u64() % settings->servers.count),
                          .text = {.wipe = true}};
    snprintf(poll->etag, sizeof(poll->etag), "%s", etag);
}

void poll_done(struct poll *poll) {
    client_end(poll->call);
    poll->call = NULL;
    buf_done(&poll->text);
}

int64_t poll_due(const struct poll *poll) {
    return poll->call != NULL ? INT64_MAX : poll->next_at;
}

void poll_now(struct poll *poll, bool whole) {
    if (whole) {
        poll->etag[0] = '\0';
    }
    client_end(poll->call);
    poll->call = NULL;
    poll->next_at = 0;
}

/* ---- the request ---- */

static void poll_add_escaped(struct buf *url, const char *text) {
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (isalnum(*c) || strchr("-._~", *c) != NULL) {
            buf_add_char(url, (char)*c);
        } else {
            buf_printf(url, "%%%02X", *c);
        }
    }
}

bool poll_url(const struct poll *poll, const char *more, char ret[SERVER_URL_MAX]) {
    const char *server = poll->settings->servers.items[poll->server];
    size_t server_len = strlen(server);
    struct buf url = BUF_INIT;
    buf_add(&url, server, server_len > 0 && server[server_len - 1] == '/' ? server_len - 1 : server_len);
    buf_add_str(&url, NODES_PATH);
    poll_add_escaped(&url, poll->settings->node);
    buf_printf(&url, "/peerings%s", more);
    bool fits = !buf_failed(&url) && url.len < SERVER_URL_MAX;
    if (fits) {
        memcpy(ret, url.data, url.len + 1);
    }
    buf_done(&url);
    return fits;
}

int poll_identify(const struct agent_settings *settings, struct client_request *request,
                  struct buf *ret_token, struct err *err) {
    request->ca_file = settings->ca;
    request->cert_file = settings->cert;
    request->key_file = settings->key;
    ret_token->wipe = true;
    if (settings->token_file == NULL) {
        return 0;
    }
    if (file_read(settings->token_file, TOKEN_FILE_MAX, ret_token, err) != 0) {
        return err_wrap(err, "no token");
    }
    if (ret_token->len > 0) {
        ret_token->data[strcspn(ret_token->data, "\r\n")] = '\0';
        request->token = ret_token->data;
    }
    return 0;
}

static void poll_failed(struct poll *poll, const char *text, int64_t retry_ms);

static void poll_start(struct poll *poll) {
    struct err err = ERR_INIT;
    struct buf token = BUF_INIT;
    char url[SERVER_URL_MAX], more[64], tag[ETAG_TEXT_MAX + 32], revision[64];
    const char *headers[4];
    size_t count = 0;
    const char *format = poll->settings->driver->format;
    snprintf(more, sizeof(more), "?%s%s%swait=%" PRIu64 "s", format != NULL ? "format=" : "",
             format != NULL ? format : "", format != NULL ? "&" : "", poll->wait_seconds);
    if (poll->etag[0] != '\0') {
        snprintf(tag, sizeof(tag), "If-None-Match: %s", poll->etag);
        headers[count++] = tag;
    }
    if (poll->revision != 0) {
        snprintf(revision, sizeof(revision), "Bgppeerd-Min-Revision: %" PRIu64, poll->revision);
        headers[count++] = revision;
    }
    headers[count] = NULL;
    struct client_request request = {
        .url = url,
        .headers = headers,
        .connect_seconds = CONNECT_S,
        .total_seconds = poll->wait_seconds + poll->wait_seconds / 16 + WAIT_GRACE_S,
        .answer_max = FILE_TEXT_MAX,
        .file = -1,
    };
    poll->asked_at = clock_monotonic_ms();
    if (!poll_url(poll, more, url)) {
        poll_failed(poll, "the server's URL is too long", 0);
    } else if (poll_identify(poll->settings, &request, &token, &err) != 0 ||
               client_start(poll->client, &request, &poll->call, &err) != 0) {
        poll_failed(poll, err.text, 0);
    }
    buf_done(&token);
}

/* ---- the answer ---- */

/* Try the next server, or, after all have failed, wait. */
static void poll_failed(struct poll *poll, const char *text, int64_t retry_ms) {
    size_t servers = poll->settings->servers.count;
    char trouble[sizeof(poll->trouble)];
    snprintf(trouble, sizeof(trouble), "%s", text);
    if (strcmp(trouble, poll->trouble) != 0) {
        memcpy(poll->trouble, trouble, sizeof(trouble));
        log_event(LOG_WARN, "poll-failed", LOG_STR("server", poll->settings->servers.items[poll->server]),
                  LOG_STR("text", trouble));
    }
    poll->failures++;
    poll->server = (poll->server + 1) % servers;
    unsigned round = poll->failures / (unsigned)servers;
    int64_t delay = NEXT_SERVER_MS;
    if (poll->failures % servers == 0) {
        delay = round > 6 ? BACK_OFF_MAX_MS : BACK_OFF_MIN_MS * ((int64_t)1 << (round - 1));
        delay = delay < BACK_OFF_MAX_MS ? delay : BACK_OFF_MAX_MS;
    }
    delay = poll_jitter(delay);
    poll->next_at = clock_monotonic_ms() + (retry_ms > delay ? retry_ms : delay);
}

/* A proxy between us and the service may end requests before the service answers them. */
static void poll_shorten_wait(struct poll *poll) {
    int64_t elapsed = clock_monotonic_ms() - poll->asked_at;
    poll->good_waits = 0;
    if (poll->etag[0] != '\0' && elapsed > WAIT_MIN_S * 1000 && poll->wait_seconds > WAIT_MIN_S) {
        poll->wait_seconds = poll->wait_seconds / 2 > WAIT_MIN_S ? poll->wait_seconds / 2 : WAIT_MIN_S;
    }
}

static void poll_succeeded(struct poll *poll) {
    if (poll->trouble[0] != '\0') {
        log_event(LOG_INFO, "poll-recovered", LOG_STR("server", poll->settings->servers.items[poll->server]));
        poll->trouble[0] = '\0';
    }
    poll->failures = 0;
    poll->next_at = 0;
}

/* No news. Before the time was up: do not ask again at once. */
static void poll_unchanged(struct poll *poll) {
    int64_t now = clock_monotonic_ms(), wait_ms = (int64_t)poll->wait_seconds * 1000;
    bool early = now - poll->asked_at < wait_ms / 2;
    poll_succeeded(poll);
    if (!early) {
        poll->early_answers = 0;
        if (poll->wait_seconds < poll->settings->wait_seconds && ++poll->good_waits >= GOOD_WAITS) {
            poll->wait_seconds *= 2;
            poll->good_waits = 0;
        }
        if (poll->wait_seconds > poll->settings->wait_seconds) {
            poll->wait_seconds = poll->settings->wait_seconds;
        }
        return;
    }
    int64_t delay = (int64_t)500 << (poll->early_answers < 7 ? poll->early_answers : 7);
    poll->early_answers++;
    poll->next_at = now + poll_jitter(delay < wait_ms || wait_ms == 0 ? delay : wait_ms);
}

static void poll_take_list(struct poll *poll, struct client_answer *answer) {
    char etag[ETAG_TEXT_MAX];
    if (answer->body.len == 0 || strlen(answer->body.data) != answer->body.len) {
        poll_failed(poll, "the service's answer is empty, or no text", 0);
        return;
    }
    if (!client_header(answer, "ETag", etag, sizeof(etag)) || strpbrk(etag, "\r\n") != NULL) {
        poll_failed(poll, "the service's answer has no ETag; is there a proxy that takes it away?", 0);
        return;
    }
    if (strcmp(etag, poll->etag) == 0) {
        poll_unchanged(poll);
        return;
    }
    poll_succeeded(poll);
    poll->early_answers = 0;
    snprintf(poll->etag, sizeof(poll->etag), "%s", etag);
    buf_done(&poll->text);
    poll->text = answer->body;
    answer->body = (struct buf){.wipe = true};
    poll->has_news = true;
}

int64_t poll_retry_after(const struct client_answer *answer, int64_t max) {
    char text[16];
    uint64_t seconds = 0;
    if (!client_header(answer, "Retry-After", text, sizeof(text)) ||
        !u64_parse(text, strlen(text), 86400, &seconds)) {
        return 0;
    }
    return (int64_t)seconds * 1000 < max ? (int64_t)seconds * 1000 : max;
}

/* What the service says of a refusal is JSON, a Status; its first part is enough for a person. */
static void poll_refused(struct poll *poll, const struct client_answer *answer) {
    char text[256];
    const char *body = answer->body.data != NULL ? answer->body.data : "";
    const char *message = strstr(body, "\"message\":\"");
    message = message != NULL ? message + strlen("\"message\":\"") : "";
    snprintf(text, sizeof(text), "the service answered %u%s%.*s", answer->status,
             message[0] != '\0' ? ": " : "", (int)strcspn(message, "\"\\\n"), message);
    if (answer->status == 502 || answer->status == 504) {
        poll_shorten_wait(poll);
    }
    poll_failed(poll, text, poll_retry_after(answer, BACK_OFF_MAX_MS));
}

static void poll_finish(struct poll *poll) {
    struct err err = ERR_INIT;
    struct client_answer *answer = NULL;
    if (client_result(poll->call, &answer, &err) != 0) {
        poll_shorten_wait(poll);
        poll_failed(poll, err.text, 0);
    } else if (answer->status == 304 && poll->etag[0] != '\0') {
        poll_unchanged(poll);
    } else if (answer->status == 200) {
        poll_take_list(poll, answer);
    } else {
        poll_refused(poll, answer);
    }
    client_end(poll->call);
    poll->call = NULL;
}

void poll_turn(struct poll *poll) {
    if (poll->call != NULL && client_finished(poll->call)) {
        poll_finish(poll);
    }
    if (poll->call == NULL && clock_monotonic_ms() >= poll->next_at) {
        poll_start(poll);
    }
}
