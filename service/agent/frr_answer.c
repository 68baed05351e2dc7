/*
 * FRR's words: its JSON of neighbours (FRR 8.4: object keyed by address), and what its checkers complain
 * about. No state.
 */
#include <stdio.h>
#include <string.h>

#include "agent_json.h"
#include "answers.h"
#include "base/number.h"
#include "cause.h"

/* ---- sessions ---- */

/* "0602": code and subcode in hex. */
static void frr_take_code(const char *text, bool remote, struct session *session) {
    unsigned code = 0, subcode = 0;
    if (strlen(text) == 4 && strspn(text, "0123456789abcdefABCDEF") == 4 &&
        sscanf(text, "%2x%2x", &code, &subcode) == 2) {
        cause_of_code(code, subcode, remote, session);
    }
}

/* `lastResetDueTo` is the word for the reset, also for long past ones; without a NOTIFICATION only a missing
 * route says something. */
static void frr_take_cause(const json_t *peer, struct session *session) {
    const char *reset = agent_json_text(peer, "lastResetDueTo");
    if (agent_json_member(peer, "lastErrorCodeSubcode") != NULL) {
        frr_take_code(agent_json_text(peer, "lastErrorCodeSubcode"), strstr(reset, "received") != NULL,
                      session);
    } else if (strcmp(reset, "Waiting for NHT") == 0) {
        cause_of_words(reset, strlen(reset), false, session);
    }
}

static uint64_t frr_sum(const json_t *peer, const char *key) {
    const json_t *families = agent_json_member(peer, "addressFamilyInfo");
    uint64_t sum = 0;
    const char *name;
    json_t *family;
    if (!json_is_object(families)) {
        return 0;
    }
    json_object_foreach((json_t *)families, name, family) {
        sum += agent_json_number(family, key, 0);
    }
    return sum;
}

static void frr_take_peer(const json_t *peer, struct session *session) {
    const char *state = agent_json_text(peer, "bgpState");
    session->state = session_state_of(state, strlen(state));
    session->disabled = agent_json_is_set(peer, "adminShutDown");
    session->key = agent_json_is_set(peer, "authenticationEnabled") ? KEY_PRESENT : KEY_ABSENT;
    uint64_t hops = agent_json_number(peer, "externalBgpNbrMaxHopsAway", 0);
    hops = hops != 0 ? hops : agent_json_number(peer, "internalBgpNbrMaxHopsAway", 0);
    session->ttl_hops = hops <= 255 ? (int)hops : 0;
    if (session->state == SESSION_ESTABLISHED) {
        session->since_ms = (int64_t)agent_json_number(peer, "bgpTimerUpEstablishedEpoch", 0) * 1000;
        session->hold_seconds = agent_json_number(peer, "bgpTimerHoldTimeMsecs", 0) / 1000;
        session->received = frr_sum(peer, "acceptedPrefixCounter");
        session->sent = frr_sum(peer, "sentPrefixCounter");
    }
    frr_take_cause(peer, session);
}

int frr_sessions(const char *text, size_t len, struct session_list *ret, struct err *err) {
    json_t *peers = NULL;
    const char *address;
    json_t *peer;
    if (agent_json_read(text, len, "FRR's list of neighbours", &peers, err) != 0) {
        return -1;
    }
    int result =
        json_is_object(peers) ? 0 : err_set(err, ERR_UNAVAILABLE, "FRR's list of neighbours is no object");
    json_object_foreach(peers, address, peer) {
        struct ip_addr parsed;
        if (result != 0 || !ip_parse(address, strlen(address), &parsed) || !json_is_object(peer) ||
            agent_json_member(peer, "bgpState") == NULL || ret->count == SESSION_COUNT_MAX) {
            continue;
        }
        struct session *session = session_list_add(ret, &parsed, 0);
        if (session == NULL) {
            result = err_no_memory(err);
        } else {
            frr_take_peer(peer, session);
        }
    }
    json_decref(peers);
    session_list_sort(ret);
    return result;
}

/* ---- complaints ---- */

/* What a line must contain, and how many bytes of its text behind the number may be shown. */
static const struct {
    const char *words;
    bool show_rest; /* "line 3: % Unknown command[25]:  the line": up to the bracket or the second colon */
} COMPLAINTS[] = {
    {"Command returned Warning Config Failed on config line ", false},
    {"No such command on config line ", false},
    {"line ", true},
};

static bool frr_take_complaint(const char *line, size_t len, char *ret, size_t size) {
    for (size_t i = 0; i < sizeof(COMPLAINTS) / sizeof(COMPLAINTS[0]); i++) {
        size_t words_len = strlen(COMPLAINTS[i].words);
        const char *at = memmem(line, len, COMPLAINTS[i].words, words_len);
        if (at == NULL || (COMPLAINTS[i].show_rest && at != line)) {
            continue;
        }
        const char *digits = at + words_len, *end = line + len;
        size_t count = 0;
        while (digits + count < end && digits[count] >= '0' && digits[count] <= '9') {
            count++;
        }
        if (count == 0 || count > 9) {
            continue;
        }
        const char *rest = digits + count;
        size_t rest_len = 0;
        while (COMPLAINTS[i].show_rest && rest + rest_len < end && rest[rest_len] != '[' &&
               (rest[rest_len] != ':' || rest_len == 0) && rest_len < 60) {
            rest_len++;
        }
        snprintf(ret, size, "line %.*s%.*s%s", (int)count, digits, (int)rest_len, rest,
                 i == 0   ? ": bgpd does not take it"
                 : i == 1 ? ": bgpd does not know it"
                          : "");
        return true;
    }
    return false;
}

bool frr_complaint(const char *text, size_t len, char *ret, size_t size) {
    if (len == 0) {
        return false; /* and `text` may be NULL */
    }
    const char *end = text + len;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((newline != NULL ? newline : end) - text);
        if (frr_take_complaint(text, line, ret, size)) {
            return true;
        }
        text += line + 1;
    }
    return false;
}
