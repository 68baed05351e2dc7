/*
 * The table of what each daemon can express of a list: one row a field, one column a daemon. The renderers
 * ask it what becomes of a session whose value they cannot write, and the messages of problems are its
 * reasons. Static and immutable.
 */
#include "fields.h"

#define OK                                                                                                   \
    { RENDER_OK, RENDER_OK, NULL }
/* Usual values are expressed; what becomes of a session with another one, and which those are. */
#define BEYOND(effect, reason)                                                                               \
    { RENDER_OK, (effect), (reason) }
/* No value is expressed. */
#define NEVER(effect, reason)                                                                                \
    { (effect), (effect), (reason) }
#define ALL_OK                                                                                               \
    { OK, OK, OK, OK }

#define BY_ADDRESS                                                                                           \
    BEYOND(                                                                                                  \
        RENDER_DISABLED,                                                                                     \
        "knows a session by its address: of two on different ports of one address, the second is left out")
#define NO_KERNEL_ROUTE                                                                                      \
    NEVER(RENDER_LEFT_OUT, "has no static routes of the kernel: the host must set the route")
#define RESTART_MAX BEYOND(RENDER_LEFT_OUT, "a restart time is at most 4095 s (RFC 4724): 4095 is written")
#define KEEPALIVE_MAX                                                                                        \
    BEYOND(RENDER_LEFT_OUT, "a hold time is at most 65535 s (RFC 4271), so a keepalive time 21845 s")
#define KEEPALIVE_NOT_0                                                                                      \
    BEYOND(RENDER_LEFT_OUT, "takes 1 to 21845 s: for 0 nothing is written, for more 21845")
#define UNREADABLE BEYOND(RENDER_DISABLED, "a filter that is not there, or that cannot be read")
#define AT_START                                                                                             \
    NEVER(RENDER_OK, "takes another one only when it starts: the agent's report asks for a restart")
#define NO_INTERFACES NEVER(RENDER_OK, "takes no routes from interfaces, so there is nothing to ignore")
#define UNUSABLE_SOURCE                                                                                      \
    BEYOND(RENDER_DISABLED,                                                                                  \
           "an address that is not of the peer's family, or is not usable, is left out with "                \
           "its session")
#define UNUSABLE_ADDRESS                                                                                     \
    BEYOND(RENDER_DISABLED,                                                                                  \
           "an unspecified, multicast or link-local address (a list names no interface) is "                 \
           "left out")

static const struct render_field FIELDS[LIST_FIELD_COUNT] = {
    [FIELD_PEER_IP] = {"peerIP", {UNUSABLE_ADDRESS, UNUSABLE_ADDRESS, UNUSABLE_ADDRESS, UNUSABLE_ADDRESS}},
    [FIELD_PORT] = {"port",
                    {BEYOND(RENDER_DISABLED,
                            "of two sessions of one address and port, the second is left out"),
                     BY_ADDRESS, BY_ADDRESS, BY_ADDRESS}},
    [FIELD_AS_NUMBER] = {"asNumber",
                         {OK, OK, OK,
                          BEYOND(RENDER_DISABLED,
                                 "refuses AS 23456 (RFC 6793): a session with it is left out")}},
    [FIELD_LOCAL_AS_NUMBER] = {"localASNumber",
                               {OK,
                                BEYOND(RENDER_DISABLED,
                                       "takes an AS of the session's own for external sessions only"),
                                OK, OK}},
    [FIELD_TYPE] = {"type", ALL_OK},
    [FIELD_SOURCE_ADDRESS] =
        {"sourceAddress",
         {UNUSABLE_SOURCE, UNUSABLE_SOURCE, UNUSABLE_SOURCE,
          BEYOND(RENDER_LEFT_OUT,
                 "with a password, local-address would let unsigned connections in: sessions "
                 "begin at the address of the route instead")}},
    [FIELD_PASSWORD] =
        {"password",
         {BEYOND(RENDER_DISABLED, "takes 1 to 80 bytes, none of them a quotation mark or a line end"),
          BEYOND(RENDER_DISABLED, "takes 1 to 80 bytes, none of them a blank or a control character"),
          BEYOND(RENDER_DISABLED, "takes 1 to 80 bytes of UTF-8"),
          BEYOND(RENDER_DISABLED, "takes 1 to 80 bytes")}},
    [FIELD_TTL_SECURITY] = {"ttlSecurity",
                            {OK, BEYOND(RENDER_DISABLED, "takes 1 to 254 hops"), OK,
                             BEYOND(RENDER_DISABLED, "checks the TTL of external sessions only")}},
    [FIELD_RESTART_TIME] =
        {"maxRestartTimeSeconds",
         {RESTART_MAX,
          BEYOND(RENDER_LEFT_OUT,
                 "has one restart time, of at most 4095 s, for all sessions: the longest one is written"),
          BEYOND(RENDER_LEFT_OUT, "takes 1 to 4095 s: for 0 nothing is written, for more 4095"),
          NEVER(RENDER_LEFT_OUT, "only ends restarts of its peers, it has no restart time")}},
    [FIELD_KEEPALIVE] = {"keepaliveTimeSeconds",
                         {KEEPALIVE_MAX, KEEPALIVE_MAX, KEEPALIVE_NOT_0, KEEPALIVE_NOT_0}},
    [FIELD_NEXT_HOP] = {"nextHop", ALL_OK},
    [FIELD_CLUSTER_ID] = {"routeReflectorClusterID", ALL_OK},
    [FIELD_ALLOWED_AS] =
        {"numAllowedLocalASNumbers",
         {OK, BEYOND(RENDER_LEFT_OUT, "takes 1 to 10: 10 is written"), OK,
          NEVER(RENDER_LEFT_OUT,
                "accepts its own AS any number of times or not at all: not at all is written")}},
    [FIELD_PASSIVE] = {"passive", ALL_OK},
    [FIELD_REACHABLE_BY] =
        {"reachableBy",
         {BEYOND(RENDER_LEFT_OUT, "the gateway must be an address of the peer's family, not link-local"),
          BEYOND(RENDER_LEFT_OUT, "the gateway must be an address of the peer's family, not link-local"),
          NO_KERNEL_ROUTE, NO_KERNEL_ROUTE}},
    [FIELD_WITHHELD] = {"withheld", ALL_OK},
    [FIELD_ORIGIN] = {"origin", ALL_OK},
    [FIELD_FILTERS] = {"filters",
                       {UNREADABLE,
                        BEYOND(RENDER_DISABLED,
                               "a filter that is not there, or that cannot be read, or more than 6000 rules "
                               "for one direction of a session"),
                        UNREADABLE, UNREADABLE}},
    [FIELD_RULE_NET] = {"filters[].cidr with In, Equal", ALL_OK},
    [FIELD_RULE_NOT_NET] = {"filters[].cidr with NotIn, NotEqual", ALL_OK},
    [FIELD_RULE_SOURCE] = {"filters[].source",
                           {OK, OK, OK,
                            BEYOND(RENDER_DISABLED,
                                   "does not compare where the routes come from that it exports")}},
    [FIELD_RULE_INTERFACE] = {"filters[].interface",
                              {OK, NEVER(RENDER_DISABLED, "does not compare interfaces of routes by pattern"),
                               NEVER(RENDER_DISABLED, "knows no interfaces of routes"),
                               NEVER(RENDER_DISABLED, "knows no interfaces of routes")}},
    [FIELD_RULE_PEER_TYPE] = {"filters[].peerType", ALL_OK},
    [FIELD_RULE_COMMUNITIES] = {"filters[].communities", ALL_OK},
    [FIELD_RULE_AS_PATH] = {"filters[].asPathPrefix",
                            {OK, OK, OK,
                             BEYOND(RENDER_DISABLED, "compares only the first AS number of a path")}},
    [FIELD_RULE_PRIORITY] = {"filters[].priority",
                             {OK, OK, NEVER(RENDER_DISABLED, "does not compare local preferences"),
                              NEVER(RENDER_DISABLED, "does not compare local preferences")}},
    [FIELD_ADD_COMMUNITY] = {"filters[].operations[].addCommunity", ALL_OK},
    [FIELD_PREPEND] = {"filters[].operations[].prependASPath",
                       {OK, OK,
                        BEYOND(RENDER_DISABLED,
                               "puts its own AS number behind those that an export to an external peer "
                               "prepends, and several different ones need a rule without asPathPrefix"),
                        NEVER(RENDER_DISABLED, "prepends no AS numbers but its own and its peer's")}},
    [FIELD_SET_PRIORITY] = {"filters[].operations[].setPriority", ALL_OK},
    [FIELD_ADVERTISE] = {"advertise",
                         {OK, OK,
                          NEVER(RENDER_OK, "takes prefixes at run time only: lines `# announce` name them"),
                          OK}},
    [FIELD_ADVERTISE_COMMUNITIES] = {"advertise[].communities", ALL_OK},
    [FIELD_NODE_AS] = {"local.asNumber", {OK, OK, AT_START, OK}},
    [FIELD_ROUTER_ID] = {"local.routerID", {OK, OK, AT_START, OK}},
    [FIELD_LISTEN_PORT] = {"local.listenPort",
                           {OK,
                            NEVER(RENDER_LEFT_OUT,
                                  "takes it on the command line of bgpd (-p), not in its configuration"),
                            AT_START, OK}},
    [FIELD_LOG_SEVERITY] = {"local.logSeverity",
                            {OK, OK,
                             NEVER(RENDER_LEFT_OUT,
                                   "takes it on its command line (-l), not in its configuration"),
                             NEVER(RENDER_LEFT_OUT, "has no such setting")}},
    [FIELD_BIND_MODE] =
        {"local.bindMode",
         {BEYOND(RENDER_LEFT_OUT,
                 "listens on every address of a family when a session of that family has no sourceAddress"),
          NEVER(RENDER_LEFT_OUT, "takes it on the command line of bgpd (-l), not in its configuration"),
          AT_START, OK}},
    [FIELD_IGNORED_INTERFACES] = {"local.ignoredInterfaces",
                                  {OK, NO_INTERFACES, NO_INTERFACES, NO_INTERFACES}},
};

const struct render_cell *field_on(enum list_field field, enum render_daemon daemon) {
    return &FIELDS[field].on[daemon];
}

const char *field_name(enum list_field field) {
    return FIELDS[field].name;
}

const struct render_field *render_fields(size_t *ret_count) {
    *ret_count = LIST_FIELD_COUNT;
    return FIELDS;
}

void render_fields_table(struct buf *out) {
    static const char *const WORDS[] = {
        [RENDER_OK] = "ok", [RENDER_LEFT_OUT] = "n/a", [RENDER_DISABLED] = "disabled"};
    buf_add_str(out, "| field | BIRD | FRR | GoBGP | OpenBGPD |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < LIST_FIELD_COUNT; i++) {
        buf_printf(out, "| `%s` |", FIELDS[i].name);
        for (size_t d = 0; d < RENDER_DAEMON_COUNT; d++) {
            const struct render_cell *cell = &FIELDS[i].on[d];
            buf_printf(out, " %s", WORDS[cell->usual]);
            if (cell->beyond != cell->usual) {
                buf_printf(out, ", else %s", WORDS[cell->beyond]);
            }
            if (cell->reason != NULL) {
                buf_printf(out, ": %s", cell->reason);
            }
            buf_add_str(out, " |");
        }
        buf_add_char(out, '\n');
    }
}
