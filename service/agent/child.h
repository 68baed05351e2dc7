/* Programs of the host that the agent runs: their checkers, vtysh, frr-reload.py, gobgp, bgpctl. */
#ifndef BGPPEERD_AGENT_CHILD_H
#define BGPPEERD_AGENT_CHILD_H

#include "base/buf.h"
#include "base/err.h"
#include "loop.h"

/* What a checker says is read in full, however long; a daemon's JSON may be as large as this. */
#define CHILD_OUTPUT_MAX ((size_t)8 * 1024 * 1024)

struct child_result {
    int status;     /* exit status; 128 and more: the signal that ended it */
    struct buf out; /* standard output and error; wiping, because both may show passwords */
    struct buf err;
};

struct child {
    const char *const *argv; /* NULL at the end; argv[0] is looked up in PATH */
    const char *input;       /* standard input; NULL: none */
    size_t input_len;
    unsigned seconds; /* then it is killed */
    bool finish; /* it changes the daemon: when the agent is to stop, it has the rest of the last second */
    const char *failure; /* what it means when it fails: "bird -p refuses the configuration" */
    enum err_code code;  /* which error that is */
    /* What a message may quote of its words, "" for nothing; true: the words alone mean that it has failed,
     * whatever its status. NULL: it prints passwords, so nothing is quoted. */
    bool (*complains)(const struct child_result *said, char *ret, size_t size);
};

/*
 * Run it to its end, with the loop turning meanwhile. ERR_NOT_FOUND: there is no such program;
 * ERR_UNAVAILABLE: it took too long, said too much or was killed because the agent stops; its process group
 * is gone then; child->code: it has failed, by its status or by its words. The result is to be freed by
 * child_result_done in any case.
 */
int child_run(struct loop *loop, const struct child *child, struct child_result *ret,
              struct err *err) MUST_CHECK;
/* The same, when nobody wants to know what it said. */
int child_tell(struct loop *loop, const struct child *child, struct err *err) MUST_CHECK;
void child_result_done(struct child_result *result);
/* What it said on standard output; never NULL. */
const char *child_words(const struct child_result *result);

/* For `complains`: the first line of what it said, of standard error, or else of its output. False. */
bool child_first_line(const struct child_result *said, char *ret, size_t size);
/* The same with the last line, for programs that first say what they do. */
bool child_last_line(const struct child_result *said, char *ret, size_t size);

#endif
