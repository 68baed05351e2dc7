/*
 * Hands a text to a daemon's checker: a file in a directory of its own, the checker's exit status and words.
 *
 * The hook's directory belongs to the machine, so the text is given another one that exists.
 */
#include "render_judge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct judge {
    const char *format;
    const char *program;
    const char *command; /* of a shell; $F is the file */
    const char *hook;    /* the directory or file that the text includes */
};

/* bgpd -C always succeeds, and does not know the routes that are for staticd. */
#define FRR_COMMAND                                                                                          \
    "vtysh -C -f $F && sed -E 's/^ip(v6)? route .*//' $F >$F.bgpd && "                                       \
    "! /usr/lib/frr/bgpd -C -f $F.bgpd 2>&1 | grep -E 'Command returned|No such command'; "                  \
    "result=$?; rm -f $F.bgpd; exit $result"

static const struct judge JUDGES[] = {
    {"bird2", "/usr/sbin/bird", "bird -p -c $F", "/etc/bird/local.d"},
    {"frr", "/usr/lib/frr/bgpd", FRR_COMMAND, NULL},
    {"gobgp", "/usr/bin/gobgpd", "gobgpd -d -f $F", NULL},
    {"openbgpd", "/usr/sbin/bgpd", "chmod 600 $F && bgpd -n -f $F", "/etc/bgpd.local.conf"},
};

static const struct judge *judge_of(const char *format) {
    for (size_t i = 0; i < sizeof(JUDGES) / sizeof(JUDGES[0]); i++) {
        if (strcmp(JUDGES[i].format, format) == 0) {
            return &JUDGES[i];
        }
    }
    return NULL;
}

/* The text with the hook replaced, into a file; false: the disk does not want it. */
static bool write_text(const char *path, const struct buf *text, const char *hook, const char *instead) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return false;
    }
    const char *found = hook != NULL ? memmem(text->data, text->len, hook, strlen(hook)) : NULL;
    const char *at = text->data;
    while (found != NULL) {
        fwrite(at, 1, (size_t)(found - at), file);
        fputs(instead, file);
        at = found + strlen(hook);
        found = memmem(at, text->len - (size_t)(at - text->data), hook, strlen(hook));
    }
    fwrite(at, 1, text->len - (size_t)(at - text->data), file);
    return fclose(file) == 0;
}

static int run(const char *command, struct buf *complaint) {
    char chunk[4096];
    FILE *pipe = popen(command, "r");
    if (pipe == NULL) {
        return -1;
    }
    for (size_t len; (len = fread(chunk, 1, sizeof(chunk), pipe)) > 0;) {
        buf_add(complaint, chunk, len);
    }
    return pclose(pipe);
}

enum verdict judge(const char *format, const struct buf *text, struct buf *complaint) {
    const struct judge *judge = judge_of(format);
    if (judge == NULL || access(judge->program, X_OK) != 0) {
        return VERDICT_NO_DAEMON;
    }
    char dir[] = "/tmp/render-judge-XXXXXX";
    if (mkdtemp(dir) == NULL) {
        buf_printf(complaint, "mkdtemp: %s", strerror(errno));
        return VERDICT_REFUSED;
    }
    char path[64], command[512];
    snprintf(path, sizeof(path), "%s/daemon.text", dir);
    snprintf(command, sizeof(command), "PATH=$PATH:/usr/sbin; F=%s; ( %s ) 2>&1", path, judge->command);
    bool accepted =
        write_text(path, text, judge->hook, strcmp(judge->format, "openbgpd") == 0 ? "/dev/null" : dir) &&
        run(command, complaint) == 0;
    buf_add_str(complaint, "");
    unlink(path);
    rmdir(dir);
    return accepted ? VERDICT_ACCEPTED : VERDICT_REFUSED;
}
