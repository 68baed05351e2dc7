/* Messages to the service manager (sd_notify's protocol over $NOTIFY_SOCKET). */
#ifndef BGPPEERD_BASE_NOTIFY_H
#define BGPPEERD_BASE_NOTIFY_H

/* "READY=1", "STOPPING=1". Without a manager that asked for it, does nothing. */
void notify_manager(const char *message);

#endif
