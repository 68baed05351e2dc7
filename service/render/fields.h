/*
 * Inside the render room: the fields of a list, as indexes into the table of render_fields().
 */
#ifndef BGPPEERD_RENDER_FIELDS_H
#define BGPPEERD_RENDER_FIELDS_H

#include "render.h"

enum list_field {
    FIELD_PEER_IP,
    FIELD_PORT,
    FIELD_AS_NUMBER,
    FIELD_LOCAL_AS_NUMBER,
    FIELD_TYPE,
    FIELD_SOURCE_ADDRESS,
    FIELD_PASSWORD,
    FIELD_TTL_SECURITY,
    FIELD_RESTART_TIME,
    FIELD_KEEPALIVE,
    FIELD_NEXT_HOP,
    FIELD_CLUSTER_ID,
    FIELD_ALLOWED_AS,
    FIELD_PASSIVE,
    FIELD_REACHABLE_BY,
    FIELD_WITHHELD,
    FIELD_ORIGIN,
    FIELD_FILTERS,
    FIELD_RULE_NET,
    FIELD_RULE_NOT_NET,
    FIELD_RULE_SOURCE,
    FIELD_RULE_INTERFACE,
    FIELD_RULE_PEER_TYPE,
    FIELD_RULE_COMMUNITIES,
    FIELD_RULE_AS_PATH,
    FIELD_RULE_PRIORITY,
    FIELD_ADD_COMMUNITY,
    FIELD_PREPEND,
    FIELD_SET_PRIORITY,
    FIELD_ADVERTISE,
    FIELD_ADVERTISE_COMMUNITIES,
    FIELD_NODE_AS,
    FIELD_ROUTER_ID,
    FIELD_LISTEN_PORT,
    FIELD_LOG_SEVERITY,
    FIELD_BIND_MODE,
    FIELD_IGNORED_INTERFACES,
    LIST_FIELD_COUNT,
};

/* What a daemon makes of a field. */
const struct render_cell *field_on(enum list_field field, enum render_daemon daemon);
const char *field_name(enum list_field field);

#endif
