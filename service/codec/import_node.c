/*
 * Kubernetes' Node as Calico's. In the Kubernetes datastore Calico keeps what it knows of a node in
 * annotations of the v1 Node (libcalico-go, K8sNodeToCalico): each is one field of Calico's Node. Its labels
 * are the Node's own and those in an annotation, of which the Node's own win. No locks, nothing owned.
 */
#include <string.h>

#include "import.h"

#define LABELS_ANNOTATION CALICO_ANNOTATIONS "labels"

static const struct {
    const char *annotation;
    const char *within; /* a member of spec; NULL: spec itself */
    const char *field;
} FIELDS[] = {
    {CALICO_ANNOTATIONS "IPv4Address", "bgp", "ipv4Address"},
    {CALICO_ANNOTATIONS "IPv6Address", "bgp", "ipv6Address"},
    {CALICO_ANNOTATIONS "ASNumber", "bgp", "asNumber"},
    {CALICO_ANNOTATIONS "RouteReflectorClusterID", "bgp", "routeReflectorClusterID"},
    {CALICO_ANNOTATIONS "IPv4IPIPTunnelAddr", "bgp", "ipv4IPIPTunnelAddr"},
    {CALICO_ANNOTATIONS "IPv4VXLANTunnelAddr", NULL, "ipv4VXLANTunnelAddr"},
    {CALICO_ANNOTATIONS "VXLANTunnelMACAddr", NULL, "vxlanTunnelMACAddr"},
    {CALICO_ANNOTATIONS "IPv6VXLANTunnelAddr", NULL, "ipv6VXLANTunnelAddr"},
    {CALICO_ANNOTATIONS "VXLANTunnelMACAddrV6", NULL, "vxlanTunnelMACAddrV6"},
    {CALICO_ANNOTATIONS "IPv4WireguardInterfaceAddr", "wireguard", "interfaceIPv4Address"},
    {CALICO_ANNOTATIONS "IPv6WireguardInterfaceAddr", "wireguard", "interfaceIPv6Address"},
};

/* The member `name` of `object`, which is made when it is not there. Borrowed; NULL: no memory. */
static json_t *member(json_t *object, const char *name) {
    if (name == NULL) {
        return object;
    }
    json_t *value = json_object_get(object, name);
    if (value == NULL && json_object_set_new(object, name, json_object()) == 0) {
        value = json_object_get(object, name);
    }
    return value;
}

static int add_labels(json_t *metadata, const json_t *node, const json_t *annotations, struct err *err) {
    const json_t *own = json_object_get(json_object_get(node, "metadata"), "labels");
    json_auto_t *labels = NULL;
    if (import_annotation(annotations, LABELS_ANNOTATION, &labels, err) != 0) {
        return -1;
    }
    if (labels == NULL) {
        labels = json_object();
    }
    if (own != NULL && !json_is_null(own) && !json_is_object(own)) {
        return err_set(err, ERR_BAD_REQUEST, "metadata.labels is %s; expected an object",
                       tree_type_name(own));
    }
    if (labels == NULL || (json_object_size(own) > 0 && json_object_update(labels, (json_t *)own) != 0)) {
        return err_no_memory(err);
    }
    return json_object_size(labels) > 0 && json_object_set(metadata, "labels", labels) != 0
               ? err_no_memory(err)
               : 0;
}

static int add_fields(json_t *spec, const json_t *annotations, struct err *err) {
    for (size_t i = 0; i < sizeof(FIELDS) / sizeof(FIELDS[0]); i++) {
        json_t *value = json_object_get(annotations, FIELDS[i].annotation);
        if (import_text(annotations, FIELDS[i].annotation)[0] == '\0') {
            continue;
        }
        json_t *within = member(spec, FIELDS[i].within);
        if (within == NULL || json_object_set(within, FIELDS[i].field, value) != 0) {
            return err_no_memory(err);
        }
    }
    return 0;
}

int import_node(const json_t *node, json_t **ret, struct err *err) {
    const json_t *own = json_object_get(node, "metadata");
    const json_t *annotations = json_object_get(own, "annotations");
    const char *name = import_text(own, "name");
    json_auto_t *metadata = json_pack("{s:s}", "name", name);
    json_auto_t *spec = json_pack("{s:[{s:s,s:s}]}", "orchRefs", "nodeName", name, "orchestrator", "k8s");
    if (metadata == NULL || spec == NULL) {
        return err_no_memory(err);
    }
    if (add_labels(metadata, node, annotations, err) != 0 || add_fields(spec, annotations, err) != 0) {
        return -1;
    }
    const struct kind_info *info = kind_info(KIND_NODE);
    *ret = json_pack("{s:s,s:s,s:O,s:O}", "apiVersion", info->api_version, "kind", info->name, "metadata",
                     metadata, "spec", spec);
    return *ret == NULL ? err_no_memory(err) : 0;
}
