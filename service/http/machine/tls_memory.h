/* GnuTLS's buffers hold what was decrypted: passwords among it. */
#ifndef BGPPEERD_HTTP_MACHINE_TLS_MEMORY_H
#define BGPPEERD_HTTP_MACHINE_TLS_MEMORY_H

/* Have GnuTLS wipe what it frees, for good. Before any thread uses it. */
void tls_memory_wipe(void);

#endif
