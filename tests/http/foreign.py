"""A made-up cluster of 100 nodes: its bare resources, and the four shapes in which kubectl and calicoctl export them."""
import copy
import json

NODES = 100


def document(kind, name, spec, labels=None):
    metadata = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, "spec": spec}


def cluster():
    """100 nodes in ten racks; the first of each rack is a reflector of the rest, and each rack has its ToR."""
    found = [document("BGPConfiguration", "default", {"asNumber": 64512, "nodeToNodeMeshEnabled": False})]
    for i in range(NODES):
        bgp = {"ipv4Address": f"192.0.2.{i + 1}/24"}
        labels = {"rack": f"r{i // 10}", "kubernetes.io/hostname": f"n{i:03}"}
        if i % 10 == 0:
            bgp["routeReflectorClusterID"] = f"198.51.100.{i // 10 + 1}"
            labels["route-reflector"] = "true"
        found.append(document("Node", f"n{i:03}", {"bgp": bgp}, labels))
    found.append(document("BGPPeer", "reflectors", {"nodeSelector": "all()", "peerSelector": "has(route-reflector)"}))
    for rack in range(10):
        found.append(document("BGPPeer", f"tor{rack}", {"nodeSelector": f"rack == 'r{rack}'", "peerIP": f"203.0.113.{rack + 1}",
                                                        "asNumber": 64600 + rack, "filters": ["f"]}))
    found.append(document("BGPFilter", "f", {"exportV4": [{"action": "Accept", "matchOperator": "In", "cidr": "198.51.100.0/24"}]}))
    return found


def foreign(found):
    """With the metadata of another system."""
    found = copy.deepcopy(found)
    for i, one in enumerate(found):
        one["metadata"].update(uid=f"00000000-0000-0000-0000-{i:012}", resourceVersion=str(900000 + i), generation=3,
                               creationTimestamp="2020-07-29T14:00:36Z", managedFields=[{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}])
        one["metadata"].setdefault("annotations", {})["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
    return found


def kubernetes_node(node):
    bgp, metadata = node["spec"]["bgp"], copy.deepcopy(node["metadata"])
    own = metadata["labels"].pop("route-reflector", None)
    annotations = metadata["annotations"]
    annotations["projectcalico.org/IPv4Address"] = bgp["ipv4Address"]
    if own is not None:
        annotations["projectcalico.org/RouteReflectorClusterID"] = bgp["routeReflectorClusterID"]
        annotations["projectcalico.org/labels"] = json.dumps({"route-reflector": own, "rack": "another"})
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"podCIDR": "198.51.100.0/26"},
            "status": {"images": [{"names": ["a"], "sizeBytes": 1}]}}


def as_list(items, kind="List", version="v1"):
    return {"apiVersion": version, "kind": kind, "items": items, "metadata": {"resourceVersion": ""}}


def crd_shape():
    """kubectl get nodes,bgppeers.crd.projectcalico.org,… -o yaml"""
    items = []
    for one in foreign(cluster()):
        if one["kind"] == "Node":
            items.append(kubernetes_node(one))
        else:
            metadata = {**one["metadata"], "annotations": {"projectcalico.org/metadata": "{\"creationTimestamp\":null}"}}
            items.append({**one, "apiVersion": "crd.projectcalico.org/v1", "metadata": metadata})
    return json.dumps(as_list(items))


def v3_shape():
    """kubectl get nodes,bgppeers.projectcalico.org,… -o yaml"""
    return json.dumps(as_list([kubernetes_node(one) if one["kind"] == "Node" else one for one in foreign(cluster())]))


def by_kind():
    found = {}
    for one in foreign(cluster()):
        found.setdefault(one["kind"], []).append(one)
    return [as_list(items, kind + "List", "projectcalico.org/v3") for kind, items in found.items()]


def calicoctl_shape():
    return json.dumps(by_kind())


def migration_shape():
    """calicoctl datastore migrate export: YAML, then two sections of JSON."""
    pools = as_list([{"kind": "IPPool", "apiVersion": "projectcalico.org/v3", "metadata": {"name": "p"}, "spec": {}}], "IPPoolList", "projectcalico.org/v3")
    return "".join(json.dumps(one) + "\n---\n" for one in [pools, *by_kind()]) + '===\n{"spec": {}}\n===\n{"Blocks": {}}\n'
