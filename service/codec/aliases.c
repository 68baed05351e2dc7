/*
 * What other programs call the things that fields of this API say: MetalLB, Cilium, kube-router, GoBGP, FRR,
 * the old calicoctl format, and what people expect a field to be called. Static and immutable.
 *
 * A row: the schema that somebody wrote the name in, the name (case, '-' and '_' make no difference), the
 * field that says it (from the same object, or a whole path), and what else there is to know.
 */
#include "codec_internal.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define PEER   "BGPPeerSpec"
#define NODE   "NodeSpec"
#define SPEAKS "NodeBGPSpec"
#define FLEET  "BGPConfigurationSpec"
#define FILTER "BGPFilterSpec"

#define WITH_PORT   "Write a port behind the address: 192.0.2.1:1790, [2001:db8::1]:1790."
#define HOLD_TIME   "A hold time is three keepalive times."
#define SECRET_ONLY "Passwords are kept in a Secret and named here."
#define OF_NODE     "It belongs to the Node."
#define NO_BFD      "BFD is not part of this API; set it in the daemon's own configuration"
#define NO_MULTIHOP "sessions may have several hops anyway; ttlSecurity limits them"
#define NO_FAMILIES "the families of a session follow from the addresses of its ends"

#define RULE_ALIASES(rule)                                                                                   \
    {rule, "network", "cidr", NULL}, {rule, "prefix", "cidr", NULL}, {rule, "subnet", "cidr", NULL},         \
        {rule, "match", "matchOperator", NULL}, {rule, "operator", "matchOperator", NULL},                   \
        {rule, "ge", "prefixLength.min", NULL}, {rule, "le", "prefixLength.max", NULL},                      \
        {rule, "min", "prefixLength.min", NULL}, {rule, "max", "prefixLength.max", NULL},                    \
        {rule, "community", "communities", NULL}, {rule, "asPath", "asPathPrefix", NULL},                    \
        {rule, "localPref", "priority", NULL}, {rule, "localPreference", "priority", NULL},                  \
        {rule, "policy", "action", NULL}, {rule, "then", "action", NULL}, {                                  \
        rule, "set", "operations", NULL                                                                      \
    }

static const struct alias ALIASES[] = {
    {PEER, "address", "peerIP", NULL},
    {PEER, "host", "peerIP", NULL},
    {PEER, "ip", "peerIP", NULL},
    {PEER, "ipAddress", "peerIP", NULL},
    {PEER, "neighbor", "peerIP", NULL},
    {PEER, "neighbour", "peerIP", NULL},
    {PEER, "neighborAddress", "peerIP", NULL},
    {PEER, "neighborIP", "peerIP", NULL},
    {PEER, "peer", "peerIP", NULL},
    {PEER, "peerAddress", "peerIP", NULL},
    {PEER, "remoteAddress", "peerIP", NULL},
    {PEER, "remoteIP", "peerIP", NULL},
    {PEER, "port", "peerIP", WITH_PORT},
    {PEER, "peerPort", "peerIP", WITH_PORT},
    {PEER, "remotePort", "peerIP", WITH_PORT},
    {PEER, "as", "asNumber", NULL},
    {PEER, "asn", "asNumber", NULL},
    {PEER, "peerAS", "asNumber", NULL},
    {PEER, "peerASN", "asNumber", NULL},
    {PEER, "peerASNumber", "asNumber", NULL},
    {PEER, "remoteAS", "asNumber", NULL},
    {PEER, "remoteASN", "asNumber", NULL},
    {PEER, "remoteASNumber", "asNumber", NULL},
    {PEER, "localAS", "localASNumber", NULL},
    {PEER, "localASN", "localASNumber", NULL},
    {PEER, "myAS", "localASNumber", NULL},
    {PEER, "myASN", "localASNumber", NULL},
    {PEER, "allowasIn", "numAllowedLocalASNumbers", NULL},
    {PEER, "allowOwnAS", "numAllowedLocalASNumbers", NULL},
    {PEER, "hostname", "node", NULL},
    {PEER, "nodeName", "node", NULL},
    {PEER, "nodes", "nodeSelector", NULL},
    {PEER, "nodeSelectors", "nodeSelector", "It is one text, such as rack == 'a' || rack == 'b'."},
    {PEER, "selector", "nodeSelector", NULL},
    {PEER, "peers", "peerSelector", NULL},
    {PEER, "authPassword", "password.secretKeyRef", SECRET_ONLY},
    {PEER, "authSecretRef", "password.secretKeyRef", SECRET_ONLY},
    {PEER, "md5", "password.secretKeyRef", SECRET_ONLY},
    {PEER, "md5Password", "password.secretKeyRef", SECRET_ONLY},
    {PEER, "passwordSecret", "password.secretKeyRef", NULL},
    {PEER, "passwordRef", "password.secretKeyRef", NULL},
    {PEER, "secret", "password.secretKeyRef", NULL},
    {PEER, "secretRef", "password.secretKeyRef", NULL},
    {PEER, "secretKeyRef", "password.secretKeyRef", NULL},
    {PEER, "holdTime", "keepaliveTime", HOLD_TIME},
    {PEER, "holdTimeSeconds", "keepaliveTime", HOLD_TIME},
    {PEER, "keepalive", "keepaliveTime", NULL},
    {PEER, "keepaliveInterval", "keepaliveTime", NULL},
    {PEER, "keepaliveTimeSeconds", "keepaliveTime", "Write it with its unit: 20s."},
    {PEER, "timers", "keepaliveTime", NULL},
    {PEER, "connectTime", NULL, "how often a daemon tries to connect is not part of this API"},
    {PEER, "connectRetryTime", NULL, "how often a daemon tries to connect is not part of this API"},
    {PEER, "connectRetryTimeSeconds", NULL, "how often a daemon tries to connect is not part of this API"},
    {PEER, "gracefulRestart", "maxRestartTime", "Write how long, such as 120s."},
    {PEER, "enableGracefulRestart", "maxRestartTime", "Write how long, such as 120s."},
    {PEER, "restartTime", "maxRestartTime", NULL},
    {PEER, "restartTimeSeconds", "maxRestartTime", "Write it with its unit: 120s."},
    {PEER, "nextHop", "nextHopMode", NULL},
    {PEER, "nextHopSelf", "nextHopMode", "Write nextHopMode: Self."},
    {PEER, "nextHopUnchanged", "nextHopMode", "Write nextHopMode: Keep."},
    {PEER, "updateSource", "sourceAddress", "It takes UseNodeIP or None."},
    {PEER, "sourceIP", "sourceAddress", "It takes UseNodeIP or None."},
    {PEER, "gtsm", "ttlSecurity", NULL},
    {PEER, "ttl", "ttlSecurity", NULL},
    {PEER, "gateway", "reachableBy", NULL},
    {PEER, "filter", "filters", NULL},
    {PEER, "importFilter", "filters", "A BGPFilter has rules for both directions."},
    {PEER, "exportFilter", "filters", "A BGPFilter has rules for both directions."},
    {PEER, "importPolicy", "filters", "A BGPFilter has rules for both directions."},
    {PEER, "exportPolicy", "filters", "A BGPFilter has rules for both directions."},
    {PEER, "routeMap", "filters", "A BGPFilter has rules for both directions."},
    {PEER, "ebgpMultiHop", NULL, NO_MULTIHOP},
    {PEER, "ebgpMultihopTTL", NULL, NO_MULTIHOP},
    {PEER, "multihop", NULL, NO_MULTIHOP},
    {PEER, "bfd", NULL, NO_BFD},
    {PEER, "bfdProfile", NULL, NO_BFD},
    {PEER, "vrf", NULL, "VRFs are not part of this API"},
    {PEER, "families", NULL, NO_FAMILIES},
    {PEER, "addressFamilies", NULL, NO_FAMILIES},
    {PEER, "interface", NULL,
     "sessions over an interface without address are not part of this API; set peerIP"},
    {PEER, "scope", NULL, "it is old: set node for one node, nodeSelector for some, neither for all"},
    {PEER, "routeReflectorClient", "spec.bgp.routeReflectorClusterID", OF_NODE},
    {PEER, "routeReflectorClusterID", "spec.bgp.routeReflectorClusterID", OF_NODE},
    {PEER, "clusterID", "spec.bgp.routeReflectorClusterID", OF_NODE},
    {PEER, "routerID", "spec.bgp.routerID", OF_NODE},
    {PEER, "listenPort", NULL, "it belongs to the BGPConfiguration: spec.listenPort"},

    {"BGPPassword", "secretName", "secretKeyRef.name", NULL},
    {"BGPPassword", "value", "secretKeyRef", SECRET_ONLY},
    {"SecretKeyRef", "secret", "name", NULL},
    {"SecretKeyRef", "secretName", "name", NULL},

    {NODE, "as", "bgp.asNumber", NULL},
    {NODE, "asn", "bgp.asNumber", NULL},
    {NODE, "localAS", "bgp.asNumber", NULL},
    {NODE, "localASN", "bgp.asNumber", NULL},
    {NODE, "address", "bgp.ipv4Address", NULL},
    {NODE, "ip", "bgp.ipv4Address", NULL},
    {NODE, "ipv4", "bgp.ipv4Address", NULL},
    {NODE, "ipv6", "bgp.ipv6Address", NULL},
    {NODE, "clusterID", "bgp.routeReflectorClusterID", NULL},
    {SPEAKS, "as", "asNumber", NULL},
    {SPEAKS, "asn", "asNumber", NULL},
    {SPEAKS, "localAS", "asNumber", NULL},
    {SPEAKS, "localASN", "asNumber", NULL},
    {SPEAKS, "address", "ipv4Address", NULL},
    {SPEAKS, "ip", "ipv4Address", NULL},
    {SPEAKS, "ipv4", "ipv4Address", NULL},
    {SPEAKS, "ipv6", "ipv6Address", NULL},
    {SPEAKS, "clusterID", "routeReflectorClusterID", NULL},
    {SPEAKS, "rrClusterID", "routeReflectorClusterID", NULL},
    {SPEAKS, "routeReflector", "routeReflectorClusterID", NULL},
    {SPEAKS, "password", NULL, "passwords belong to BGPPeers and to the BGPConfiguration (nodeMeshPassword)"},
    {SPEAKS, "port", NULL,
     "it belongs to the BGPConfiguration: spec.listenPort, of node.<name> for one node"},

    {FLEET, "as", "asNumber", NULL},
    {FLEET, "asn", "asNumber", NULL},
    {FLEET, "localAS", "asNumber", NULL},
    {FLEET, "localASN", "asNumber", NULL},
    {FLEET, "mesh", "nodeToNodeMeshEnabled", NULL},
    {FLEET, "fullMesh", "nodeToNodeMeshEnabled", NULL},
    {FLEET, "nodeMesh", "nodeToNodeMeshEnabled", NULL},
    {FLEET, "nodeMeshEnabled", "nodeToNodeMeshEnabled", NULL},
    {FLEET, "meshPassword", "nodeMeshPassword", NULL},
    {FLEET, "password", "nodeMeshPassword", NULL},
    {FLEET, "port", "listenPort", NULL},
    {FLEET, "logLevel", "logSeverityScreen", NULL},
    {FLEET, "logSeverity", "logSeverityScreen", NULL},
    {FLEET, "clusterIPs", "serviceClusterIPs", NULL},
    {FLEET, "externalIPs", "serviceExternalIPs", NULL},
    {FLEET, "loadBalancerIPs", "serviceLoadBalancerIPs", NULL},

    {FILTER, "import", "importV4", "IPv6 has importV6."},
    {FILTER, "imports", "importV4", "IPv6 has importV6."},
    {FILTER, "export", "exportV4", "IPv6 has exportV6."},
    {FILTER, "exports", "exportV4", "IPv6 has exportV6."},
    {FILTER, "rules", "importV4", "Rules are in importV4, exportV4, importV6 and exportV6."},
    RULE_ALIASES("BGPFilterRuleV4"),
    RULE_ALIASES("BGPFilterRuleV6"),
    {FILTER, "defaultAction", NULL, "write a last rule without conditions: action: Reject, or Accept"},
};

const struct alias *alias_table(size_t *ret_count) {
    *ret_count = COUNT(ALIASES);
    return ALIASES;
}
