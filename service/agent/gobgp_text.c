/*
 * Reading GoBGP's file as the service's renderer writes it: line by line, by the beginnings of lines. No
 * state.
 */
#include "gobgp_text.h"

#include <stdio.h>
#include <string.h>

static const char ANNOUNCE[] = "# announce ";
static const char SESSION[] = "\n# session ";
static const char GLOBAL[] = "\n[global.config]\n";

struct gobgp_line {
    const char *text;
    size_t len; /* without its end */
};

/* The next line of what is left; false: nothing is. */
static bool gobgp_next_line(struct gobgp_text *left, struct gobgp_line *ret) {
    if (left->text == NULL || left->len == 0) {
        return false;
    }
    const char *newline = memchr(left->text, '\n', left->len);
    size_t len = newline != NULL ? (size_t)(newline - left->text) : left->len;
    *ret = (struct gobgp_line){left->text, len};
    len += newline != NULL ? 1 : 0;
    left->text += len;
    left->len -= len;
    return true;
}

static bool gobgp_begins(struct gobgp_line line, const char *with) {
    size_t len = strlen(with);
    return line.len >= len && memcmp(line.text, with, len) == 0;
}

static void gobgp_add_line(struct buf *out, struct gobgp_line line) {
    buf_add(out, line.text, line.len);
    buf_add_char(out, '\n');
}

static bool gobgp_same(const struct buf *a, const struct buf *b) {
    return !buf_failed(a) && !buf_failed(b) && a->len == b->len &&
           (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* ---- prefixes ---- */

bool gobgp_text_next_prefix(const struct gobgp_text *file, const char **at, char ret[IP_CIDR_TEXT_MAX]) {
    struct gobgp_text left = {*at, (size_t)(file->text + file->len - *at)};
    struct gobgp_line line;
    while (gobgp_next_line(&left, &line)) {
        size_t start = sizeof(ANNOUNCE) - 1;
        struct ip_cidr cidr;
        *at = left.text;
        if (gobgp_begins(line, ANNOUNCE) && line.len - start < IP_CIDR_TEXT_MAX &&
            ip_parse_cidr(line.text + start, line.len - start, &cidr)) {
            snprintf(ret, IP_CIDR_TEXT_MAX, "%.*s", (int)(line.len - start), line.text + start);
            return true;
        }
    }
    return false;
}

bool gobgp_text_announces(const struct gobgp_text *file, const char *prefix) {
    char other[IP_CIDR_TEXT_MAX];
    const char *at = file->text;
    while (at != NULL && gobgp_text_next_prefix(file, &at, other)) {
        if (strcmp(other, prefix) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- sessions ---- */

const char *gobgp_text_session(const struct gobgp_text *file, const struct ip_addr *peer, size_t *ret_len) {
    char address[IP_TEXT_MAX], first[IP_TEXT_MAX + 32];
    ip_format(peer, address);
    int first_len = snprintf(first, sizeof(first), "# session peerIP=%s ", address);
    const char *start = file->text != NULL ? memmem(file->text, file->len, first, (size_t)first_len) : NULL;
    if (start == NULL) {
        return NULL;
    }
    const char *end =
        memmem(start + 1, (size_t)(file->text + file->len - start - 1), SESSION, sizeof(SESSION) - 1);
    *ret_len = (size_t)((end != NULL ? end + 1 : file->text + file->len) - start);
    return start;
}

static bool gobgp_has_session(const struct gobgp_text *file, const struct ip_addr *peer) {
    size_t len;
    return gobgp_text_session(file, peer, &len) != NULL;
}

/* What SIGHUP ignores. */
static bool gobgp_is_ignored(struct gobgp_line line) {
    static const char *const KEYS[] = {"ttl-min ",
                                       "multihop-ttl ",
                                       "route-reflector-cluster-id ",
                                       "route-reflector-client ",
                                       "[neighbors.ttl-security.config]",
                                       "[neighbors.ebgp-multihop.config]"};
    for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
        if (gobgp_begins(line, KEYS[i])) {
            return true;
        }
    }
    return false;
}

static void gobgp_ignored_lines(const struct gobgp_text *file, const struct ip_addr *peer, struct buf *ret) {
    struct gobgp_text left = {.len = 0};
    struct gobgp_line line;
    left.text = gobgp_text_session(file, peer, &left.len);
    while (gobgp_next_line(&left, &line)) {
        if (gobgp_is_ignored(line)) {
            gobgp_add_line(ret, line);
        }
    }
}

bool gobgp_text_must_renew(const struct gobgp_text *before, const struct gobgp_text *now,
                           const struct ip_addr *peer) {
    struct buf old = BUF_INIT, new = BUF_INIT;
    if (!gobgp_has_session(before, peer) || !gobgp_has_session(now, peer)) {
        return false;
    }
    gobgp_ignored_lines(before, peer, &old);
    gobgp_ignored_lines(now, peer, &new);
    bool differs = !gobgp_same(&old, &new);
    buf_done(&old);
    buf_done(&new);
    return differs;
}

/* ---- policies ---- */

/* A set or a statement. */
struct gobgp_piece {
    const char *text;
    size_t len;
    struct gobgp_line name;     /* the value of its first "…name = " */
    struct gobgp_line neighbor; /* of the set that it is about; len 0: it is about all sessions */
    bool is_set;
    bool decides;
};

static bool gobgp_begins_piece(struct gobgp_line line) {
    static const char *const FIRST[] = {"[[defined-sets.prefix-sets]]",      "[[defined-sets.neighbor-sets]]",
                                        "[[defined-sets.bgp-defined-sets.",  "[[policy-definitions]]",
                                        "[[policy-definitions.statements]]", "[global."};
    for (size_t i = 0; i < sizeof(FIRST) / sizeof(FIRST[0]); i++) {
        if (gobgp_begins(line, FIRST[i])) {
            return true;
        }
    }
    return false;
}

/* What stands behind `key` = , in its quotes. */
static bool gobgp_take_value(struct gobgp_line line, const char *key, struct gobgp_line *ret) {
    size_t len = strlen(key);
    const char *at = ret->len == 0 ? memmem(line.text, line.len, key, len) : NULL;
    if (at == NULL) {
        return false;
    }
    *ret = (struct gobgp_line){at + len, (size_t)(line.text + line.len - at) - len};
    return true;
}

/* The next piece, from its first line to the next one's; false: the sessions begin. */
static bool gobgp_next_piece(struct gobgp_text *left, struct gobgp_piece *ret) {
    struct gobgp_line line;
    *ret = (struct gobgp_piece){.text = NULL};
    while (left->len > 0 &&
           !(left->len >= sizeof(SESSION) - 2 && memcmp(left->text, SESSION + 1, sizeof(SESSION) - 2) == 0)) {
        struct gobgp_text before = *left;
        (void)gobgp_next_line(left, &line);
        if (gobgp_begins_piece(line)) {
            if (ret->text != NULL) {
                *left = before;
                return true;
            }
            ret->text = line.text;
            ret->is_set = gobgp_begins(line, "[[defined-sets.");
        }
        if (ret->text != NULL) {
            ret->len = (size_t)(left->text - ret->text);
            (void)gobgp_take_value(line, "name = ", &ret->name);
            (void)gobgp_take_value(line, "neighbor-set = ", &ret->neighbor);
            ret->decides = ret->decides || gobgp_begins(line, "route-disposition ");
        }
    }
    return ret->text != NULL;
}

/* Without the lines of their names, which have numbers that change with other statements. */
static void gobgp_add_statement(struct buf *out, const struct gobgp_piece *piece) {
    struct gobgp_text left = {piece->text, piece->len};
    struct gobgp_line line;
    while (gobgp_next_line(&left, &line)) {
        if (!gobgp_begins(line, "name = ")) {
            gobgp_add_line(out, line);
        }
    }
}

/* The statements of the export policy that a session can meet (only those that decide, or all), and then the
 * sets that they name. */
static void gobgp_read_exports(const struct gobgp_text *file, const struct ip_addr *peer, bool decisions,
                               struct buf *ret) {
    char address[IP_TEXT_MAX], mine[IP_TEXT_MAX + 8];
    ip_format(peer, address);
    size_t mine_len = (size_t)snprintf(mine, sizeof(mine), "\"n.%s\"", address);
    struct gobgp_text left = *file;
    struct gobgp_piece piece;
    while (gobgp_next_piece(&left, &piece)) {
        bool is_mine = piece.neighbor.len == 0 ||
                       (piece.neighbor.len == mine_len && memcmp(piece.neighbor.text, mine, mine_len) == 0);
        if (!piece.is_set && gobgp_begins(piece.name, "\"export.") && is_mine &&
            (piece.decides || !decisions)) {
            gobgp_add_statement(ret, &piece);
        }
    }
    left = *file;
    size_t statements = ret->len;
    while (gobgp_next_piece(&left, &piece)) {
        if (piece.is_set && piece.name.len > 0 && statements > 0 &&
            memmem(ret->data, statements, piece.name.text, piece.name.len) != NULL) {
            buf_add(ret, piece.text, piece.len);
        }
    }
}

static bool gobgp_exports_differ(const struct gobgp_text *before, const struct gobgp_text *now,
                                 const struct ip_addr *peer, bool decisions) {
    struct buf old = BUF_INIT, new = BUF_INIT;
    gobgp_read_exports(before, peer, decisions, &old);
    gobgp_read_exports(now, peer, decisions, &new);
    bool differs = !gobgp_same(&old, &new);
    buf_done(&old);
    buf_done(&new);
    return differs;
}

enum gobgp_exports gobgp_text_exports(const struct gobgp_text *before, const struct gobgp_text *now,
                                      const struct ip_addr *peer) {
    if (!gobgp_has_session(before, peer) || !gobgp_has_session(now, peer) ||
        !gobgp_exports_differ(before, now, peer, false)) {
        return GOBGP_EXPORTS_ALIKE;
    }
    return gobgp_exports_differ(before, now, peer, true) ? GOBGP_EXPORTS_DECIDED : GOBGP_EXPORTS_CHANGED;
}

/* ---- the whole daemon ---- */

/* Has the text this line? */
static bool gobgp_has_line(struct gobgp_text text, struct gobgp_line wanted) {
    struct gobgp_line line;
    while (gobgp_next_line(&text, &line) && !gobgp_begins(line, "[")) {
        if (line.len == wanted.len && memcmp(line.text, wanted.text, line.len) == 0) {
            return true;
        }
    }
    return false;
}

/* The keys of lines that the one has and the other has not, up to the next section. */
static void gobgp_add_missing(struct gobgp_text have, struct gobgp_text lack, char *ret, size_t size) {
    struct gobgp_line line;
    while (gobgp_next_line(&have, &line) && !gobgp_begins(line, "[")) {
        size_t key = 0;
        while (key < line.len && line.text[key] != ' ') {
            key++;
        }
        char word[64];
        snprintf(word, sizeof(word), "%.*s", (int)key, line.text);
        if (word[0] == '\0' || gobgp_has_line(lack, line) || strstr(ret, word) != NULL) {
            continue;
        }
        size_t used = strlen(ret);
        snprintf(ret + used, size - used, "%s%s", used > 0 ? ", " : "", word);
    }
}

/* The lines of the whole daemon's settings. */
static struct gobgp_text gobgp_global_lines(const struct gobgp_text *file) {
    const char *section =
        file->text != NULL ? memmem(file->text, file->len, GLOBAL, sizeof(GLOBAL) - 1) : NULL;
    if (section == NULL) {
        return *file;
    }
    const char *start = section + sizeof(GLOBAL) - 1;
    return (struct gobgp_text){start, (size_t)(file->text + file->len - start)};
}

void gobgp_text_compare_global(const struct gobgp_text *file, const struct gobgp_text *running, char *ret,
                               size_t size) {
    struct gobgp_text written = gobgp_global_lines(file), runs = gobgp_global_lines(running);
    ret[0] = '\0';
    gobgp_add_missing(written, runs, ret, size);
    gobgp_add_missing(runs, written, ret, size);
}

bool gobgp_text_as_differs(const struct gobgp_text *before, const struct gobgp_text *now) {
    struct gobgp_text left = gobgp_global_lines(now), old = gobgp_global_lines(before);
    struct gobgp_line line;
    while (gobgp_next_line(&left, &line) && !gobgp_begins(line, "[")) {
        if (gobgp_begins(line, "as = ")) {
            return before->text != NULL && !gobgp_has_line(old, line);
        }
    }
    return false;
}
