/*
 * Tokens: made, written as text for their holder, as bytes for the store. The secret exists only in the text
 * that token_new hands out; what is kept is a hash of it. Pure but for randomness; no locks.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "token_internal.h"

#define TOKEN_FORMAT 1 /* version of the encoded bytes */

_Static_assert(TOKEN_HASH_BYTES == crypto_generichash_BYTES, "BLAKE2b-256");
_Static_assert(TOKEN_SECRET_LENGTH + 1 ==
                   sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
               "base64url of 256 bits");

/* ---- text ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool token_id_number(const char *id, uint64_t *ret) {
    uint64_t number = 0;

    for (size_t i = 0; i < TOKEN_ID_LENGTH; i++) {
        int digit = hex_digit(id[i]);

        if (digit < 0) {
            return false;
        }
        number = number << 4 | (uint64_t)digit;
    }
    *ret = number;
    return true;
}

bool token_id_is_valid(const char *id) {
    uint64_t number;

    return strlen(id) == TOKEN_ID_LENGTH && token_id_number(id, &number);
}

void token_hash(const char *secret, uint8_t ret[TOKEN_HASH_BYTES]) {
    (void)crypto_generichash(ret, TOKEN_HASH_BYTES, (const unsigned char *)secret, TOKEN_SECRET_LENGTH, NULL,
                             0);
}

void token_principal(const struct token *token, struct principal *ret) {
    *ret = (struct principal){.role = token->role};
    if (token->role == ROLE_NODE) {
        snprintf(ret->user, sizeof ret->user, AUTH_NODE_USER "%s", token->node);
    } else {
        snprintf(ret->user, sizeof ret->user, "token:%s", token->id);
    }
}

/* Length of what may be a secret: its alphabet, whatever else is wrong with it. */
static size_t secret_span(const char *text) {
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
}

const char *token_masked(const char *text, char *room, size_t size) {
    const size_t head = strlen(TOKEN_PREFIX) + TOKEN_ID_LENGTH + 1;
    const char *found = strstr(text, TOKEN_PREFIX);
    size_t used = 0;

    if (found == NULL) {
        return text;
    }
    while (found != NULL && used < size) {
        size_t span = secret_span(found);
        size_t keep = (size_t)(found - text) + (span < head ? span : head);

        used +=
            (size_t)snprintf(room + used, size - used, "%.*s%s", (int)keep, text, span > head ? "***" : "");
        text = found + span;
        found = strstr(text, TOKEN_PREFIX);
    }
    if (used < size) {
        snprintf(room + used, size - used, "%s", text);
    }
    return room;
}

void token_setting_name(const char *id, char ret[TOKEN_SETTING_MAX]) {
    snprintf(ret, TOKEN_SETTING_MAX, TOKEN_SETTING "%.*s", TOKEN_ID_LENGTH, id);
}

static int check_request(enum role role, const char *node, const char *description, int64_t expires_ms,
                         struct err *err) {
    if (role <= ROLE_NONE || role >= ROLE_COUNT) {
        return err_set_field(err, ERR_INVALID, "spec.role",
                             "the role must be admin, operator, viewer or node");
    }
    if (role == ROLE_NODE && (node == NULL || node[0] == '\0')) {
        return err_set_field(err, ERR_INVALID, "spec.node",
                             "a token of role node needs the name of its node");
    }
    if (role != ROLE_NODE && node != NULL && node[0] != '\0') {
        return err_set_field(err, ERR_INVALID, "spec.node",
                             "only a token of role node belongs to a node; this one has role %s",
                             role_name(role));
    }
    if (node != NULL && (strlen(node) >= AUTH_NODE_MAX || !text_is_one_line(node))) {
        return err_set_field(err, ERR_INVALID, "spec.node", "this is not the name of a node");
    }
    if (description != NULL &&
        (strlen(description) >= TOKEN_DESCRIPTION_MAX || !text_is_one_line(description))) {
        return err_set_field(err, ERR_INVALID, "spec.description",
                             "the description must be one line of at most %d bytes",
                             TOKEN_DESCRIPTION_MAX - 1);
    }
    if (expires_ms < 0 || (expires_ms > 0 && expires_ms <= clock_realtime_ms())) {
        return err_set_field(err, ERR_INVALID, "spec.expires", "the time of expiry is not in the future");
    }
    return 0;
}

int token_new(enum role role, const char *node, const char *description, int64_t expires_ms,
              struct token *ret, char ret_text[TOKEN_TEXT_MAX], struct err *err) {
    uint8_t id[TOKEN_ID_LENGTH / 2];
    uint8_t random[32];
    char secret[TOKEN_SECRET_LENGTH + 1];

    if (check_request(role, node, description, expires_ms, err) < 0) {
        return -1;
    }
    *ret = (struct token){.role = role, .created_ms = clock_realtime_ms(), .expires_ms = expires_ms};
    snprintf(ret->node, sizeof ret->node, "%s", node != NULL ? node : "");
    snprintf(ret->description, sizeof ret->description, "%s", description != NULL ? description : "");
    randombytes_buf(id, sizeof id);
    sodium_bin2hex(ret->id, sizeof ret->id, id, sizeof id);
    randombytes_buf(random, sizeof random);
    sodium_bin2base64(secret, sizeof secret, random, sizeof random, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    token_hash(secret, ret->hash);
    snprintf(ret_text, TOKEN_TEXT_MAX, TOKEN_PREFIX "%s_%s", ret->id, secret);
    sodium_memzero(random, sizeof random);
    sodium_memzero(secret, sizeof secret);
    return 0;
}

/* ---- bytes ---- */

/* version, role, three times, hash, then node and description with a length byte each; numbers are
 * little-endian. */
#define FIXED_BYTES (2 + 3 * 8 + TOKEN_HASH_BYTES)
_Static_assert(FIXED_BYTES + AUTH_NODE_MAX + TOKEN_DESCRIPTION_MAX <= TOKEN_ROW_MAX, "a token fits its row");
_Static_assert(AUTH_NODE_MAX <= 256 && TOKEN_DESCRIPTION_MAX <= 256, "lengths are one byte");

static uint8_t *put_time(uint8_t *at, int64_t time_ms) {
    for (unsigned i = 0; i < 8; i++) {
        *at++ = (uint8_t)((uint64_t)time_ms >> (8 * i));
    }
    return at;
}

static uint8_t *put_text(uint8_t *at, const char *text) {
    size_t len = strlen(text);

    *at++ = (uint8_t)len;
    memcpy(at, text, len);
    return at + len;
}

size_t token_encode(const struct token *token, uint8_t ret[TOKEN_ROW_MAX]) {
    uint8_t *at = ret;

    *at++ = TOKEN_FORMAT;
    *at++ = (uint8_t)token->role;
    at = put_time(at, token->created_ms);
    at = put_time(at, token->expires_ms);
    at = put_time(at, token->last_used_ms);
    memcpy(at, token->hash, TOKEN_HASH_BYTES);
    at = put_text(at + TOKEN_HASH_BYTES, token->node);
    at = put_text(at, token->description);
    return (size_t)(at - ret);
}

static int64_t get_time(const uint8_t *at) {
    uint64_t time_ms = 0;

    for (unsigned i = 8; i-- > 0;) {
        time_ms = time_ms << 8 | at[i];
    }
    return (int64_t)time_ms;
}

static bool get_text(const uint8_t **at, const uint8_t *end, char *out, size_t size) {
    size_t len;

    if (*at == end) {
        return false;
    }
    len = *(*at)++;
    if (len >= size || len > (size_t)(end - *at) || memchr(*at, '\0', len) != NULL) {
        return false;
    }
    memcpy(out, *at, len);
    out[len] = '\0';
    *at += len;
    return true;
}

int token_decode(const char *name, const void *bytes, size_t len, struct token *ret, struct err *err) {
    const uint8_t *at = bytes, *end = at + len;
    struct token token = {.role = ROLE_NONE};
    size_t prefix = strlen(TOKEN_SETTING);

    if (strncmp(name, TOKEN_SETTING, prefix) != 0 || !token_id_is_valid(name + prefix)) {
        return err_set(err, ERR_CORRUPT, "the setting \"%.64s\" is not the name of a token", name);
    }
    if (len > 0 && at[0] > TOKEN_FORMAT) {
        return err_set(
            err, ERR_CORRUPT,
            "%s has format %u, this version reads up to %d; use the version of bgppeerd that wrote it", name,
            at[0], TOKEN_FORMAT);
    }
    if (len >= FIXED_BYTES && at[0] == TOKEN_FORMAT && at[1] > ROLE_NONE && at[1] < ROLE_COUNT) {
        memcpy(token.id, name + prefix, TOKEN_ID_MAX);
        token.role = (enum role)at[1];
        token.created_ms = get_time(at + 2);
        token.expires_ms = get_time(at + 10);
        token.last_used_ms = get_time(at + 18);
        memcpy(token.hash, at + 26, TOKEN_HASH_BYTES);
        at += FIXED_BYTES;
        if (get_text(&at, end, token.node, sizeof token.node) &&
            get_text(&at, end, token.description, sizeof token.description) && at == end &&
            (token.role == ROLE_NODE) == (token.node[0] != '\0') && token.expires_ms >= 0) {
            *ret = token;
            return 0;
        }
    }
    return err_set(err, ERR_CORRUPT, "%s is damaged; revoke it with the service stopped, or restore a backup",
                   name);
}
