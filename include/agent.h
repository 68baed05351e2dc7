/*
 * The node agent: keeps one host's BGP daemon in step with the peering list of its node, and reports what the
 * daemon's sessions do.
 *
 * It has no room below it but base and client: what it knows of the service is the HTTP API. One thread,
 * besides the log's.
 */
#ifndef BGPPEERD_AGENT_H
#define BGPPEERD_AGENT_H

/* Run the agent that the arguments describe, until a signal or, with --once, until one list is applied. The
 * answer is the exit status: 0; 1, it failed; 2, the command line is wrong. */
int agent_run(int argc, char **argv);

#endif
