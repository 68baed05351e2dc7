"""What is valid and yet surely not meant: each case with the exact sentence that it is answered with, for a dry run like
for the write itself. The table is meant to be read, like that of messages_test.py."""
import unittest

from wire import GROUP, MERGE, OURS, ServiceTest

PEER = {"peerIP": "192.0.2.9", "asNumber": 65010, "filters": ["pods"], "nodeSelector": "rack == 'a'"}
SELECTS = {"peerIP": None, "asNumber": None, "filters": None}  # a BGPPeer between nodes
NODE = {"ipv4Address": "10.0.0.3/24"}
IN = {"action": "Accept", "matchOperator": "In"}

# Members of spec (None takes one away), and every Warning.
PEERS = [
    ({}, []),
    ({"peerIP": "10.0.0.1", "node": "n1", "nodeSelector": None},
     ['OwnAddress: BGPPeer "x" is for node "n1", and its peerIP 10.0.0.1 is that node\'s own address, so it creates no session. '
      'Write the address of the peer.']),
    ({"peerIP": "10.0.0.2"},
     ['RemoteASMismatch: BGPPeer "x" gives 10.0.0.2 AS 65010, but that is node "n2"\'s address, whose AS is 64512, so the node does '
      'not peer back and the session stays down. Correct one of the two, or give the node a BGPPeer of its own with localASNumber 65010.']),
    ({"peerIP": "10.0.0.2:1791", "asNumber": 64512},
     ['RemotePortMismatch: BGPPeer "x" gives 10.0.0.2 the port 1791, but that is node "n2"\'s address, whose listenPort is 1790, so the '
      'node does not peer back and the session stays down. Correct one of the two.']),
    ({"node": "n6", "nodeSelector": None},
     ['NoLocalAddress: BGPPeer "x" asks for IPv4 sessions (with 192.0.2.9), but node "n6" has no IPv4 address. Set spec.bgp.ipv4Address '
      'of the Node, or leave the node out of the BGPPeer.']),
    ({"peerIP": "2001:db8::9"},
     ['NoLocalAddress: BGPPeer "x" asks for IPv6 sessions (with 2001:db8::9), but node "n1" has no IPv6 address. Set spec.bgp.ipv6Address '
      'of the Node, or leave the node out of the BGPPeer.']),
    ({"peerIP": "2001:db8::9", "nodeSelector": "has(rack)"}, []),
    ({**SELECTS, "node": "n1", "nodeSelector": None, "peerSelector": "rack == 'a'"},
     ['NoPeers: peerSelector "rack == \'a\'" of BGPPeer "x" selects no node with a BGP address besides "n1" itself, so it creates no '
      'session here. Correct the selector, or the labels and addresses of the peers.']),
    ({**SELECTS, "peerSelector": "has(rack)"}, []),
    ({**SELECTS, "peerSelector": "rak == 'a'"},
     ["spec.peerSelector: the selector matches no node now", 'spec.peerSelector: no node has a label "rak", did you mean "rack"?']),
    ({"nodeSelector": "has(purpose)"},
     ["spec.nodeSelector: the selector matches no node now", 'spec.nodeSelector: no node has a label "purpose"']),
    ({"nodeSelector": "rack == 'A'"}, ["spec.nodeSelector: the selector matches no node now"]),
    ({"nodeSelector": " "}, ["spec.nodeSelector: consists of blanks, which select every node; write all() if that is meant"]),
    ({"node": "N1", "nodeSelector": None},
     ["spec.node: 'N1' is not portable: Kubernetes takes only lower-case letters, digits, '-' and '.' in names",
      'spec.node: there is no Node "N1" yet; there is a Node "n1"']),
    ({"node": "n1.example.net", "nodeSelector": None}, ['spec.node: there is no Node "n1.example.net" yet; there is a Node "n1"']),
    ({"node": "global", "nodeSelector": None}, ['spec.node: there is no Node "global" yet; for all nodes leave node out']),
    ({"filters": ["pods", "nets"]}, ['spec.filters[1]: there is no BGPFilter "nets" yet; it is left out until there is']),
    ({"filters": ["pods", "pods"]}, ['spec.filters[1]: names "pods" once more, which changes nothing']),
    ({"filters": ["Pods"]},
     ["spec.filters: 'Pods' is not portable: Kubernetes takes only lower-case letters, digits, '-' and '.' in names",
      'spec.filters[0]: there is no BGPFilter "Pods" yet; there is a BGPFilter "pods"; it is left out until there is']),
    ({"peerIP": "10.0.0.0"}, ['spec.peerIP: 10.0.0.0 is the network\'s own address with the /24 of node "n1"; a host has another one of that network']),
    ({"peerIP": "10.0.0.255:179"},
     ['spec.peerIP: 10.0.0.255 is the network\'s broadcast address with the /24 of node "n1"; a host has another one of that network']),
    ({"peerIP": "2001:db8:6::", "nodeSelector": "rack == 'c'"},
     ['spec.peerIP: 2001:db8:6:: is the network\'s anycast address with the /64 of node "n6"; a host has another one of that network']),
    ({"peerIP": "240.0.0.1"}, ["spec.peerIP: 240.0.0.1 is in 240.0.0.0/4, reserved for future use (RFC 1112); no BGP speaker has such an address"]),
    ({"peerIP": "127.0.0.1"}, ["spec.peerIP: 127.0.0.1 is a loopback address; no BGP session can use it"]),
    ({"asNumber": 0}, ["spec.asNumber: is 0, which counts as not set, so the peer is taken to be in the default AS"]),
    ({"asNumber": None}, ["spec.asNumber: is not set, so the peer is taken to be in the default AS"]),
    ({"asNumber": 23456}, ["spec.asNumber: AS 23456 is AS_TRANS and belongs to nobody (RFC 6793)"]),
    ({"localASNumber": 65535}, ["spec.localASNumber: AS 65535 is reserved and must not be used (RFC 7300)"]),
    ({"keepaliveTime": "1h"}, ["spec.keepaliveTime: a peer that is gone is noticed after three times as long, here 10800s"]),
    ({"keepaliveTime": "0s"}, ["spec.keepaliveTime: no BGP daemon accepts 0s; leave it out for the default"]),
    ({"keepaliveTime": "21846s"}, ["spec.keepaliveTime: over 21845s the hold time, three times as long, does not fit into BGP's 16 bits"]),
    ({"keepaliveTime": "1.5s"}, ["spec.keepaliveTime: BGP daemons count whole seconds; 1.5s becomes 2s"]),
    ({"maxRestartTime": "0s"},
     ["spec.maxRestartTime: 0s gives a daemon no time to restart, so its routes are gone at once; leave it out for the default"]),
    ({"maxRestartTime": "2h"}, ["spec.maxRestartTime: no BGP daemon accepts a restart time over 4095s (RFC 4724 gives it 12 bits)"]),
    ({"ttlSecurity": 255}, ["spec.ttlSecurity: 255 hops let every packet pass, so it protects nothing"]),
    ({"numAllowedLocalASNumbers": 11}, ["spec.numAllowedLocalASNumbers: FRR takes at most 10; more switches loop protection off"]),
    ({"reachableBy": "192.0.2.9"}, ["spec.reachableBy: is the peer itself; write the gateway towards it, or leave it out"]),
    ({"reachableBy": "224.0.0.1"}, ["spec.reachableBy: 224.0.0.1 is a multicast address; no BGP session can use it"]),
    ({"password": {"secretKeyRef": {"name": "bgp", "key": "A"}}},
     ['spec.password.secretKeyRef: Secret "bgp" has no key "A"; until it has, the sessions are withheld']),
    ({"password": {}}, ["spec.password: has no secretKeyRef, so the sessions have no password"]),
]

# Members of spec.bgp.
NODES = [
    ({}, []),
    ({"ipv4Address": "10.0.0.1/24"},
     ['spec.bgp.ipv4Address: 10.0.0.1 is also an address of Node "n1"; sessions with it that have a password are withheld until each Node '
      'has its own']),
    ({"ipv4Address": "10.0.0.9/24"},
     ['RemoteASMismatch: BGPPeer "tor" gives 10.0.0.9 AS 65001, but that is node "x"\'s address, whose AS is 64512, so the node does not '
      'peer back and the session stays down. Correct one of the two, or give the node a BGPPeer of its own with localASNumber 65001.']),
    ({"ipv4Address": "10.0.0.9/24", "asNumber": 65001}, []),
    ({"ipv4Address": "10.0.0.0/24"}, ["spec.bgp.ipv4Address: 10.0.0.0 is the network's own address with a /24; a host has another one of that network"]),
    ({"ipv4Address": "10.0.0.3/0"},
     ["spec.bgp.ipv4Address: with a /0 the node takes every address of that range for a neighbour on its link; write the prefix length of the link"]),
    ({"ipv4Address": "10.0.0.3/31"}, []),
    ({"routerID": "10.0.0.1"},
     ['spec.bgp.routerID: Node "n1" has the same router ID; two speakers of one AS with the same one refuse each other']),
    ({"routeReflectorClusterID": "0.0.0.0"},
     ["spec.bgp.routeReflectorClusterID: 0.0.0.0 is no cluster's ID; write one of your own, such as 244.0.0.1"]),
    ({"prefixAdvertisements": [{"cidr": "10.1.0.0/24", "communities": ["rack", "backup"]}]},
     ['spec.bgp.prefixAdvertisements[0].communities[1]: no community "backup" is defined in spec.communities of BGPConfiguration default '
      'or node.x; it is left out until one is']),
    ({"prefixAdvertisements": [{"cidr": "0.0.0.0/0"}]},
     ["spec.bgp.prefixAdvertisements[0].cidr: 0.0.0.0/0 is the default route: peers would send here what they know no other way for"]),
    ({"prefixAdvertisements": [{"cidr": "10.1.0.0/24"}, {"cidr": "10.2.0.0/24"}, {"cidr": "10.1.0.0/24"}]},
     ["spec.bgp.prefixAdvertisements: 10.1.0.0/24 is there twice; put its communities together"]),
    ({"prefixAdvertisements": [{"cidr": "169.254.7.0/24"}]},
     ["spec.bgp.prefixAdvertisements[0].cidr: 169.254.7.0/24 is in 169.254.0.0/16, link-local (RFC 3927); no router forwards to it"]),
]

CONFIGURATIONS = [
    ({"serviceClusterIPs": [{"cidr": "10.96.0.0/32"}]},
     ["spec.serviceClusterIPs[0].cidr: 10.96.0.0/32 is a single address; a cluster's service addresses are a network, such as 10.96.0.0/12"]),
    ({"serviceClusterIPs": [{"cidr": "fd00::1/128"}]},
     ["spec.serviceClusterIPs[0].cidr: fd00::1/128 is a single address; a cluster's service addresses are a network, such as 10.96.0.0/12"]),
    ({"serviceExternalIPs": [{"cidr": "192.0.2.1/32"}]}, []),
    ({"serviceExternalIPs": [{"cidr": "0.0.0.0/0"}]},
     ["spec.serviceExternalIPs[0].cidr: 0.0.0.0/0 is the default route: peers would send here what they know no other way for"]),
    ({"serviceExternalIPs": [{"cidr": "10.1.0.0/16"}, {"cidr": "10.1.0.0/24"}]}, []),
    ({"serviceExternalIPs": [{"cidr": "10.1.0.0/16"}, {"cidr": "10.1.0.0/16"}]}, ["spec.serviceExternalIPs: 10.1.0.0/16 is there twice; leave one out"]),
    ({"serviceLoadBalancerIPs": [{"cidr": "fe80::/64"}]},
     ["spec.serviceLoadBalancerIPs[0].cidr: fe80::/64 is in fe80::/10, link-local (RFC 4291); no router forwards to it"]),
    ({"serviceLoadBalancerIPs": [{}]}, ["spec.serviceLoadBalancerIPs: holds an entry without a cidr, which advertises nothing"]),
    ({"prefixAdvertisements": [{"cidr": "10.1.0.0/24", "communities": []}]},
     ["spec.prefixAdvertisements[0].communities: is empty, so the entry changes nothing"]),
    ({"prefixAdvertisements": [{"cidr": "10.1.0.0/24", "communities": ["65000:1", "65000:1"]}]},
     ["spec.prefixAdvertisements[0].communities[1]: is there twice; leave one out"]),
    ({"asNumber": 64496}, ["spec.asNumber: AS 64496 is set aside for documentation (RFC 5398)"]),
    ({"nodeMeshMaxRestartTime": "0s"},
     ["spec.nodeMeshMaxRestartTime: 0s gives a daemon no time to restart, so its routes are gone at once; leave it out for the default"]),
]

# The rules of importV4.
FILTERS = [
    ([], ["spec: has no rules, so the filter changes nothing"]),
    ([{**IN, "cidr": "10.1.0.0/16"}, {**IN, "cidr": "10.0.0.0/8"}, {"action": "Reject"}], []),
    ([{"action": "Accept"}, {"action": "Reject"}], ["spec.importV4[0]: matches every route, so the rules after it are never reached"]),
    ([{**IN, "cidr": "0.0.0.0/0"}, {"action": "Reject"}], ["spec.importV4[0]: matches every route, so the rules after it are never reached"]),
    ([{**IN, "cidr": "10.0.0.0/8"}, {**IN, "cidr": "10.1.0.0/16", "action": "Reject"}],
     ["spec.importV4[1]: is never reached, because rule [0] decides about all of 10.0.0.0/8; put the narrower rule first"]),
    ([{**IN, "cidr": "10.0.0.0/8", "peerType": "eBGP"}, {**IN, "cidr": "10.1.0.0/16", "action": "Reject"}], []),
    ([{**IN, "cidr": "10.0.0.0/8", "matchOperator": "NotIn"}, {**IN, "cidr": "10.1.0.0/16"}], []),
    ([{**IN, "cidr": "10.0.0.0/8", "prefixLength": {"min": 25, "max": 24}}],
     ["spec.importV4[0].prefixLength: no prefix length is in this range, so the rule matches nothing"]),
    ([{**IN, "cidr": "10.0.0.0/8", "prefixLength": {"min": 4, "max": 6}}],
     ["spec.importV4[0].prefixLength: no prefix length is in this range, so the rule matches nothing"]),
    ([{"action": "Accept", "asPathPrefix": [65001, 0]}], ["spec.importV4[0].asPathPrefix: AS 0 is reserved and must not be used (RFC 7607)"]),
]

# A value of stringData.
PASSWORDS = [
    ("hunter2", []),
    ("password1234", []),
    ("Kq3xT9vLw2Zp", []),
    ("aHVudGVyMmh1bnRlcjI=",
     ["stringData[password]: looks like base64, which is not decoded here; write it under data, or the password itself"]),
    ("{{ password }}", ["stringData[password]: looks like a template that has not been filled in"]),
    ("${BGP_PASSWORD}", ["stringData[password]: looks like a template that has not been filled in"]),
    ("<password>", ["stringData[password]: looks like a template that has not been filled in"]),
    ("$ecret", []),
    ("two\nlines", ["stringData[password]: cannot be used as a BGP password: it holds a control character, such as a NUL, a tab or a newline; "
                    "was plain text written under data? use stringData"]),
]


def warnings(answer):
    """The texts of the Warning headers."""
    return [value[len('299 - "'):-1].replace('\\"', '"') for value in answer.headers.get_all("Warning") or []]


class AdviceTest(ServiceTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.make("bgpconfigurations", "default", {"nodeToNodeMeshEnabled": False, "communities": [{"name": "rack", "value": "65000:1"}],
                                                  "prefixAdvertisements": [{"cidr": "10.0.0.0/8", "communities": ["rack"]}]})
        cls.make("bgpconfigurations", "node.n2", {"listenPort": 1790})
        cls.make("nodes", "n1", {"bgp": {"ipv4Address": "10.0.0.1/24"}}, labels={"rack": "a"})
        cls.make("nodes", "n2", {"bgp": {"ipv4Address": "10.0.0.2/24"}}, labels={"rack": "b"})
        cls.make("nodes", "n6", {"bgp": {"ipv6Address": "2001:db8:6::1/64"}}, labels={"rack": "c"})
        cls.make("bgpfilters", "pods", {"importV4": [{"action": "Reject"}]})
        cls.make("bgppeers", "tor", {"node": "n1", "peerIP": "10.0.0.9", "asNumber": 65001, "filters": ["pods"]})
        cls.service.request("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "bgp"}, "stringData": {"a": "x"}})

    @classmethod
    def make(cls, plural, name, spec, **metadata):
        answer = cls.service.request("POST", f"{GROUP}/{plural}", {"metadata": {"name": name, **metadata}, "spec": spec})
        if answer.status != 201:
            raise AssertionError(answer.body)

    def check(self, plural, spec, said, name="x"):
        """A dry run, its twin in a change set, and the write itself say the same."""
        document = {"metadata": {"name": name}, "spec": {key: value for key, value in spec.items() if value is not None}}
        kind = {"bgppeers": "BGPPeer", "nodes": "Node", "bgpconfigurations": "BGPConfiguration", "bgpfilters": "BGPFilter"}[plural]
        whole = {"apiVersion": "projectcalico.org/v3", "kind": kind, **document}
        path = f"{GROUP}/{plural}/{name}"
        tried = self.request("PUT", f"{path}?dryRun=All", document) if self.request("GET", path).status == 200 else \
            self.request("POST", f"{GROUP}/{plural}?dryRun=All", document)
        self.assertIn(tried.status, (200, 201), tried.body)
        self.assertEqual(warnings(tried), said)
        applied = self.request("POST", f"{OURS}/applies?dryRun=All", whole)
        self.assertEqual(applied.status, 200, applied.body)
        self.assertEqual([text.partition("): ")[2] for text in warnings(applied)], said)
        written = self.request("POST", f"{OURS}/applies", whole)
        self.assertEqual(written.status, 200, written.body)
        self.assertEqual([text.partition("): ")[2] for text in warnings(written)], said)

    def test_peers(self):
        for members, said in PEERS:
            with self.subTest(members):
                self.request("DELETE", f"{GROUP}/bgppeers/x")
                self.check("bgppeers", {**PEER, **members}, said)
        self.request("DELETE", f"{GROUP}/bgppeers/x")

    def test_nodes(self):
        for members, said in NODES:
            with self.subTest(members):
                self.request("DELETE", f"{GROUP}/nodes/x")
                self.check("nodes", {"bgp": {**NODE, **members}}, said)
        self.request("DELETE", f"{GROUP}/nodes/x")

    def test_configurations(self):
        kept = self.request("GET", f"{GROUP}/bgpconfigurations/default").json()["spec"]
        for members, said in CONFIGURATIONS:
            with self.subTest(members):
                self.check("bgpconfigurations", {"nodeToNodeMeshEnabled": members.get("nodeMeshMaxRestartTime") is not None, **members},
                           said, name="default")
                self.request("DELETE", f"{GROUP}/bgpconfigurations/default")
        self.make("bgpconfigurations", "default", kept)
        answer = self.request("POST", f"{GROUP}/bgpconfigurations?dryRun=All", {"metadata": {"name": "node.n1.example.net"}, "spec": {}})
        self.assertEqual(warnings(answer), ['metadata.name: there is no Node "n1.example.net" yet; there is a Node "n1"'])

    def test_filters(self):
        for rules, said in FILTERS:
            with self.subTest(rules):
                self.check("bgpfilters", {"importV4": rules}, said)

    def test_passwords(self):
        for value, said in PASSWORDS:
            with self.subTest(value):
                body = {"metadata": {"name": "x"}, "stringData": {"password": value}}
                self.assertEqual(warnings(self.request("POST", "/api/v1/namespaces/default/secrets?dryRun=All", body)), said)
                self.assertEqual(warnings(self.request("POST", "/api/v1/namespaces/default/secrets?dryRun=All", {**body, "type": "helm.sh/release.v1"})), [])
        body = {"metadata": {"name": "x"}, "stringData": {"password": "hunter2"}}
        self.assertEqual(warnings(self.request("POST", "/api/v1/namespaces/kube-system/secrets?dryRun=All", body)),
                         ['metadata.namespace: BGPPeers find their passwords in namespace "default" only'])

    def test_a_patch_that_is_tried(self):
        """What a dry run of a patch would make of an object that is there."""
        self.make("bgppeers", "patched", {**PEER, "node": "n1", "nodeSelector": ""})
        answer = self.request("PATCH", f"{GROUP}/bgppeers/patched?dryRun=All", b'{"spec":{"peerIP":"10.0.0.1"}}', MERGE)
        self.assertIn("that node's own address", " ".join(warnings(answer)))
        self.assertEqual(self.request("GET", f"{GROUP}/bgppeers/patched").json()["spec"]["peerIP"], "192.0.2.9")
        self.request("DELETE", f"{GROUP}/bgppeers/patched")

    def test_a_large_secret(self):
        """Charts' release Secrets are larger than a password; all values of one Secret together have a limit."""
        path = "/api/v1/namespaces/default/secrets"
        values = {"metadata": {"name": "large"}, "type": "helm.sh/release.v1", "stringData": {"release": "x" * 600_000}}
        self.assertEqual(self.request("POST", path, values).status, 201)
        more = b'{"stringData":{"more":"%s"}}' % (b"y" * 400_000)
        self.assertEqual(self.request("PATCH", f"{path}/large", more, MERGE).status, 200)
        status = self.assert_status(self.request("PATCH", f"{path}/large", more.replace(b"more", b"even"), MERGE), 422)
        self.assertEqual(status["details"]["causes"][0]["message"], "Too long: the values have 1400000 bytes together, at most 1048576 are allowed")


if __name__ == "__main__":
    unittest.main()
