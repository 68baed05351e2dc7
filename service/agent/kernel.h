/*
 * What the kernel counts and no daemon names: segments dropped for their signature or their TTL, in this
 * network namespace.
 */
#ifndef BGPPEERD_AGENT_KERNEL_H
#define BGPPEERD_AGENT_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kernel_counter {
    KERNEL_MD5_FAILURE,    /* TCPMD5Failure: the keys differ */
    KERNEL_MD5_NOT_FOUND,  /* TCPMD5NotFound: we have a key, and they did not sign */
    KERNEL_MD5_UNEXPECTED, /* TCPMD5Unexpected: they signed, and we have no key */
    KERNEL_MIN_TTL_DROP,   /* TCPMinTTLDrop: came from farther than GTSM allows */
    KERNEL_COUNTER_COUNT
};

/* The counters in the text of /proc/net/netstat; those that it does not have are 0. False: it is not that
 * file. */
bool kernel_read_text(const char *text, size_t len, uint64_t ret[KERNEL_COUNTER_COUNT]);
/* The counters of now. False: they cannot be had. */
bool kernel_read(uint64_t ret[KERNEL_COUNTER_COUNT]);

#endif
