/*
 * Why a session is not up, in one language: daemons' words for the last error, as codes of RFC 4271 (section
 * 4.5), RFC 4486 and RFC 8203, "Cease/AdministrativeShutdown"; what is no NOTIFICATION is "Socket/…" or
 * "Local/…". Pure.
 */
#ifndef BGPPEERD_AGENT_CAUSE_H
#define BGPPEERD_AGENT_CAUSE_H

#include "session.h"

/* What BIRD says behind "Last error:": "Received: Bad peer AS". */
void cause_of_bird(const char *text, size_t len, struct session *session);
/* A NOTIFICATION's code and subcode. */
void cause_of_code(unsigned code, unsigned subcode, bool remote, struct session *session);
/* What the agent itself has seen, at this end. */
void cause_of_class(enum session_error error, struct session *session);
/* Words of a daemon that names subcodes as the RFCs do, in any case: "Cease, administratively down". */
void cause_of_words(const char *text, size_t len, bool remote, struct session *session);

#endif
