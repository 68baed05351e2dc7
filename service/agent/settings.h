/* What the agent was told: its options, each with a variable BGPPEER_AGENT_…, and what follows from them. */
#ifndef BGPPEERD_AGENT_SETTINGS_H
#define BGPPEERD_AGENT_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/options.h"

#define AGENT_PREFIX  "BGPPEER_AGENT_"
#define NODE_TEXT_MAX 254 /* a node's name and NUL */

#ifndef BGPPEERD_VERSION
#define BGPPEERD_VERSION "unknown"
#endif

struct driver;

struct agent_settings {
    struct option_list servers; /* "https://bgppeerd.example:8443", tried in turn */
    const char *node;           /* default: the host's name */
    const char *token_file;     /* NULL: no token */
    const char *cert;           /* NULL: no certificate */
    const char *key;            /* NULL: the key is in `cert` */
    const char *ca;             /* NULL: the machine's authorities */
    const char *daemon;         /* the driver's name */
    const char *config;         /* the file that the agent writes */
    const char *control;        /* the daemon's socket, or the directory of its sockets */
    const char *group;          /* who may read the file besides its owner; "" = nobody */
    const char *append;         /* the host's own lines, behind the service's; NULL: none */
    const char *command;        /* the program of --daemon command; NULL: none */
    const char *state_dir;
    const char *on_exit; /* "keep" or "withdraw" */
    const char *log_format;
    const char *log_level;
    uint64_t wait_seconds;    /* how long a poll waits for a change */
    uint64_t confirm_seconds; /* how long a change may take until it is seen to work */
    uint64_t report_seconds;  /* between reports without news; 0: no reports */
    bool once;
    bool print;
    /* Not options. */
    const struct driver *driver;
    char host_name[NODE_TEXT_MAX];
    char real_config[PATH_MAX]; /* `config` behind its symbolic links */
};

/* What to do when the arguments have been read. */
enum settings_next { SETTINGS_RUN, SETTINGS_DONE /* help or version was printed */ };

/* Fill `settings`; texts live as long as the process. ERR_USAGE. */
int settings_read(int argc, char **argv, struct agent_settings *settings, enum settings_next *ret,
                  struct err *err) MUST_CHECK;

#endif
