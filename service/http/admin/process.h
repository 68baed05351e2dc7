/* What the system says of this process, for /metrics. */
#ifndef BGPPEERD_HTTP_ADMIN_PROCESS_H
#define BGPPEERD_HTTP_ADMIN_PROCESS_H

#include <stdint.h>

/* PROCESS_UNKNOWN: the system does not tell. */
#define PROCESS_UNKNOWN UINT64_MAX
struct process_figures {
    uint64_t cpu_ns; /* of all threads, in user and system mode */
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds; /* PROCESS_UNKNOWN also when there is no limit */
};
/* A few system calls; nothing that grows with the number of connections on Linux 6.2 and later. */
void process_read(struct process_figures *ret);
/* When the process started, in nanoseconds since 1970; PROCESS_UNKNOWN. */
uint64_t process_start_ns(void);

#endif
