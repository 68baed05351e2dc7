/*
 * An etcd of one member for tests, on a free port of this machine, with its data in the test's directory. It
 * ends with the test, however that ends.
 */
#ifndef BGPPEERD_TESTS_UNIT_ETCD_FIXTURE_H
#define BGPPEERD_TESTS_UNIT_ETCD_FIXTURE_H

#include <stdbool.h>
#include <sys/types.h>

#include "store.h"

struct etcd_server {
    pid_t pid;        /* 0: does not run */
    char dir[512];    /* its data */
    char address[64]; /* for --store: "etcd:http://127.0.0.1:PORT" */
    char client[48];  /* URLs */
    char peer[48];
    int quota; /* bytes of its database; 0: its default */
};

/* Is there an etcd in PATH? */
bool etcd_is_installed(void);
/* Start it and wait until it answers; fails the test when it does not. */
void etcd_start(struct etcd_server *server, const char *dir);
/* Started again: with the same data and on the same port. */
void etcd_start_again(struct etcd_server *server);
/* With a signal; SIGSTOP leaves it there. */
void etcd_signal(struct etcd_server *server, int signal_number);
/* Kill it, if it runs. */
void etcd_stop(struct etcd_server *server);

#endif
