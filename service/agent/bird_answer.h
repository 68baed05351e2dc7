/* BIRD's control protocol as text: lines, answers, tables of sessions. Pure; nothing here reads a socket. */
#ifndef BGPPEERD_AGENT_BIRD_ANSWER_H
#define BGPPEERD_AGENT_BIRD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "session.h"

#define BIRD_LINE_MAX   4096
#define BIRD_ANSWER_MAX ((size_t)8 * 1024 * 1024)

/* Codes that matter here. From 8000 the command has failed, from 9000 it was none. */
enum {
    BIRD_RECONFIGURED = 3,
    BIRD_IN_PROGRESS = 4,
    BIRD_CONFIRMED = 18,
    BIRD_NOTHING_TO_DO = 19,
    BIRD_CHECKED = 20,
    BIRD_UNDO_SCHEDULED = 22,
    BIRD_HELLO = 1,
    BIRD_PROTOCOL = 1002,
    BIRD_DETAIL = 1006,
    BIRD_STATUS = 1011,
    BIRD_FAILED = 8000,
    BIRD_CONFIGURATION_ERROR = 8002,
    BIRD_NOT_ALLOWED = 8007,
};

/*
 * One answer, assembled from pieces as they arrive. `lines` has one line each: four digits, a blank, the
 * text; lines that continue a code have it repeated. What BIRD says without being asked ("+…") is left out.
 */
struct bird_answer {
    struct buf lines;
    int code; /* of the last line, when complete */
    bool complete;
    char greeting[64]; /* what BIRD said first on the connection; for whoever reads the socket to fill in */
    /* its own */
    struct buf line;
    int current; /* code of the line before; -1 = there is none */
};
#define BIRD_ANSWER_INIT                                                                                     \
    { .lines = {.wipe = true}, .line = {.wipe = true}, .current = -1 }

void bird_answer_done(struct bird_answer *answer);
/* Take bytes in. What is behind the end of an answer is left out. ERR_UNAVAILABLE: this is not BIRD's
 * language, or it is too long; ERR_NO_MEMORY. */
int bird_answer_add(struct bird_answer *answer, const char *bytes, size_t len, struct err *err) MUST_CHECK;
/* Is there a line with this code? Its text, up to `size` - 1 bytes, in `ret`. */
bool bird_answer_find(const struct bird_answer *answer, int code, char *ret, size_t size);
/* The text of the last line. */
void bird_answer_last(const struct bird_answer *answer, char *ret, size_t size);

/*
 * The BGP sessions in the answer to `show protocols all`, added to `ret` and sorted. What has no address (a
 * range) is passed over. The port is in the name that we give: 'n.ADDRESS.PORT'. ERR_NO_MEMORY.
 */
int bird_sessions(const struct bird_answer *answer, struct session_list *ret, struct err *err) MUST_CHECK;

#endif
