"""A session with every kubectl that can be found: $KUBECTL, kubectl* in $PATH, and the one of `make deps-clients`.

tests/run: timeout 900

Each works on a service of its own, with a home directory of its own, where it keeps what discovery told it. One check
is one line of the session; the last line counts them.
"""
import base64
import concurrent.futures
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import yaml

from service import Service

GROUP = "/apis/projectcalico.org/v3"
SECONDS = 60
MARKER = base64.b64encode(b"**redacted**").decode()
PASSWORD = "correct-horse-battery"

FLEET = """\
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: rack1-a, labels: {rack: "1", role: worker}}
spec: {bgp: {asNumber: 64512, ipv4Address: 10.0.1.11/24}}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: rack2-a, labels: {rack: "2", role: worker}}
spec: {bgp: {ipv4Address: 10.0.2.11/24, routeReflectorClusterID: 244.0.0.1}}
---
apiVersion: projectcalico.org/v3
kind: BGPFilter
metadata: {name: only-pods}
spec: {exportV4: [{action: Accept, matchOperator: In, cidr: 10.244.0.0/16}, {action: Reject}]}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: false, asNumber: 64512}
---
apiVersion: v1
kind: Secret
metadata: {name: bgp-passwords}
stringData: {tor: %s}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: rack1-tor, labels: {tier: tor, rack: "1"}}
spec:
  nodeSelector: rack == '1'
  peerIP: 10.0.1.1
  asNumber: 4200000001
  filters: [only-pods]
  ttlSecurity: 1
  password: {secretKeyRef: {name: bgp-passwords, key: tor}}
""" % PASSWORD

PEER = """\
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: %s, labels: {tier: extra}}
spec: {node: rack1-a, peerIP: %s, asNumber: 64999, filters: [only-pods]}
"""


def find_clients():
    """Paths of different programs, by their real paths."""
    found = {}
    folders = os.environ.get("PATH", "").split(os.pathsep) + ["build/clients/bin"]
    paths = [os.environ.get("KUBECTL", "")] + [path for folder in folders for path in sorted(glob.glob(f"{folder}/kubectl*"))]
    for path in list(paths):
        # Several versions are often kept beside the one that the path leads to.
        paths += sorted(glob.glob(os.path.join(os.path.dirname(os.path.realpath(path)), "kubectl.*"))) if path else []
    for path in paths:
        if path and os.access(path, os.X_OK) and re.fullmatch(r"kubectl(\.?-?v?[0-9.]+)?", os.path.basename(path)):
            found.setdefault(os.path.realpath(path), os.path.abspath(path))
    return list(found.values())


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    def json(self):
        return json.loads(self.out)


class Session:
    def __init__(self, program, service):
        self.program = program
        self.service = service
        self.passed = self.failed = 0
        self.folder = os.path.join(service.folder, "kubectl")
        os.makedirs(self.folder)
        self.environment = {"HOME": self.folder, "PATH": os.environ["PATH"], "KUBECONFIG": os.path.join(self.folder, "config")}
        with open("api/kubeconfig.example", encoding="utf-8") as file:
            config = yaml.safe_load(file)
        config["clusters"][0]["cluster"]["server"] = service.url
        self.write("config", json.dumps(config))
        version = json.loads(self.run("version", "--client", "-o", "json").out)["clientVersion"]["gitVersion"]
        self.version = tuple(int(n) for n in re.match(r"v(\d+)\.(\d+)", version).groups())

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self, *arguments, **environment):
        return subprocess.Popen([self.program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.environment | environment)

    def run(self, *arguments, stdin=None, **environment):
        return Result(subprocess.run([self.program, *arguments], input=stdin, capture_output=True, text=True, check=False,
                                     timeout=SECONDS, env=self.environment | environment))

    def check(self, what, good, seen=""):
        if good:
            self.passed += 1
            return
        self.failed += 1
        print(f"not so: {what}\n    {seen}", flush=True)

    def says(self, what, result, *patterns, code=0):
        """The command ended like that, and said all of it (regular expressions, over both outputs)."""
        text = result.out + result.err
        missing = [pattern for pattern in patterns if not re.search(pattern, text, re.M)]
        self.check(what, result.code == code and not missing, f"status {result.code}, without {missing}: {text!r}")

    def equal(self, what, seen, wanted):
        self.check(what, seen == wanted, f"{seen!r} instead of {wanted!r}")

    def apply(self, text, *more):
        return self.run("apply", "-f", "-", *more, stdin=text)

    def field(self, what, path):
        return self.run("get", *what.split(), "-o", "jsonpath={" + path + "}").out

    # ---- the session ----

    def discovery(self):
        self.says("api-versions", self.run("api-versions"), r"^projectcalico\.org/v3$", r"^bgppeerd\.io/v1$", r"^v1$")
        resources = self.run("api-resources")
        self.says("api-resources", resources, r"^bgppeers +bp +projectcalico\.org/v3 +false +BGPPeer$",
                  r"^bgpfilters +bf .*BGPFilter$", r"^bgpconfigurations +bgpconfig .*BGPConfiguration$",
                  r"^nodes +no .*Node$", r"^secrets +v1 +true +Secret$", r"^namespaces +ns +v1 +false +Namespace$")
        self.says("api-resources of the group", self.run("api-resources", "--api-group=projectcalico.org", "-o", "name"),
                  r"^bgppeers\.projectcalico\.org$")
        self.says("api-resources by verb", self.run("api-resources", "--verbs=watch,deletecollection", "-o", "name"),
                  r"^bgppeers\.projectcalico\.org$", r"^secrets$")
        self.check("api-resources: no verb, no row", "namespaces" not in self.run("api-resources", "--verbs=delete").out)
        self.says("version", self.run("version"), r"v1\.33\.0\+bgppeerd")
        self.says("healthz", self.run("get", "--raw", "/healthz"), "ok")
        self.says("raw", self.run("get", "--raw", GROUP), "APIResourceList")
        self.says("a type that there is not", self.run("get", "pods"), "the server doesn't have a resource type \"pods\"", code=1)
        self.says("nothing there", self.run("get", "bgppeers"), "No resources found")
        self.says("the namespace of the Secrets", self.run("get", "ns"), r"^default +Active")

    def explaining(self):
        self.says("explain a kind", self.run("explain", "bgppeer"), r"KIND: +BGPPeer", r"VERSION: +(projectcalico\.org/)?v3",
                  "spec", "The object's name, labels and annotations")
        self.says("explain a field", self.run("explain", "bgppeer.spec.ttlSecurity"), r"ttlSecurity <integer>", "RFC 5082", "hops")
        self.says("explain an object", self.run("explain", "bgppeer.spec.password.secretKeyRef"), "key", "name")
        self.says("explain an AS number", self.run("explain", "bgppeer.spec.asNumber"), "asNumber <(string|IntOrString)>", "AS number")
        self.says("explain a list", self.run("explain", "bgpfilter.spec.importV4.prefixLength"), "min", "max")
        self.says("explain everything below", self.run("explain", "node.spec", "--recursive"), "routeReflectorClusterID", "ipv4Address")
        self.says("explain metadata", self.run("explain", "bgppeer.metadata.labels"), r"labels\s+<map\[string\]string>")
        self.says("explain a Secret", self.run("explain", "secret.data"), r"data\s+<map\[string\]string>", "never read back")
        self.says("explain what is not there", self.run("explain", "bgppeer.spec.colour"), r'field "colour" does not exist', code=1)

    def applying(self):
        first = self.apply(FLEET)
        self.says("apply several documents", first, "node.projectcalico.org/rack1-a created", "bgpfilter.* created",
                  "bgpconfiguration.* created", "secret/bgp-passwords created", "bgppeer.projectcalico.org/rack1-tor created")
        again = self.apply(FLEET)
        self.says("sessions", self.run("get", "sessions"), r"^NODE +PEER +REMOTE NODE +AS +STATE +OTHER END +VERDICT", r"^rack1-a .* Unknown ")
        self.says("sessions with their causes", self.run("get", "sessions", "-o", "wide"), "nothing was heard of rack1-a since the service started")
        self.says("changes", self.run("get", "changes"), r"^CHANGE +TIME +ACTOR +WHAT", r" create BGPPeer/rack1-tor ")
        self.says("apply again", again, "bgppeer.projectcalico.org/rack1-tor unchanged", "node.projectcalico.org/rack1-a unchanged",
                  "bgpfilter.projectcalico.org/only-pods unchanged", "bgpconfiguration.projectcalico.org/default unchanged")
        version = self.field("bgppeer rack1-tor", ".metadata.resourceVersion")
        generation = self.field("bgppeer rack1-tor", ".metadata.generation")
        self.apply(FLEET)
        self.equal("apply unchanged writes nothing", self.field("bgppeer rack1-tor", ".metadata.resourceVersion"), version)
        self.says("diff: none", self.run("diff", "-f", "-", stdin=FLEET.replace("kind: Secret", "kind: Secret")))
        changed = FLEET.replace("ttlSecurity: 1", "ttlSecurity: 2")
        diff = self.run("diff", "-f", "-", stdin=changed)
        self.says("diff: one field", diff, r"^- +ttlSecurity: 1$", r"^\+ +ttlSecurity: 2$", code=1)
        self.equal("diff changes nothing", self.field("bgppeer rack1-tor", ".spec.ttlSecurity"), "1")
        self.says("apply a change", self.apply(changed), "bgppeer.projectcalico.org/rack1-tor configured",
                  "node.projectcalico.org/rack1-a unchanged")
        self.equal("it is changed", self.field("bgppeer rack1-tor", ".spec.ttlSecurity"), "2")
        self.check("generation moved", int(self.field("bgppeer rack1-tor", ".metadata.generation")) == int(generation) + 1)
        self.says("apply without a field", self.apply(FLEET.replace("  ttlSecurity: 1\n", "")), "rack1-tor configured")
        self.equal("the field is gone", self.field("bgppeer rack1-tor", ".spec.ttlSecurity"), "")
        self.run("patch", "bgppeer", "rack1-tor", "--type=merge", "-p", '{"spec":{"keepaliveTime":"20s"}}')
        self.apply(FLEET)
        self.equal("apply leaves what others have set", self.field("bgppeer rack1-tor", ".spec.keepaliveTime"), "20s")
        self.equal("apply brings back what it sets", self.field("bgppeer rack1-tor", ".spec.ttlSecurity"), "1")
        self.says("view-last-applied", self.run("apply", "view-last-applied", "bgppeer", "rack1-tor"), "ttlSecurity: 1")
        self.says("set-last-applied", self.run("apply", "set-last-applied", "-f", "-", "--create-annotation",
                                               stdin=PEER % ("none", "10.9.9.9")), "NotFound|not found", code=1)
        self.says("server-side apply", self.apply(FLEET, "--server-side"), "Server-side apply not available on the server|415|unsupported|not supported", code=1)

    def dry_runs(self):
        peer = PEER % ("dry", "10.0.1.9")
        self.says("create --dry-run=server", self.run("create", "--dry-run=server", "-f", "-", stdin=peer), r"dry created \(server dry run\)")
        self.says("create --dry-run=client", self.run("create", "--dry-run=client", "-f", "-", stdin=peer), r"dry created \(dry run\)")
        self.says("apply --dry-run=server", self.apply(peer, "--dry-run=server"), r"dry created \(server dry run\)")
        self.says("nothing was stored", self.run("get", "bgppeer", "dry"), "NotFound", code=1)
        self.says("apply --dry-run=server of a change", self.apply(FLEET.replace("ttlSecurity: 1", "ttlSecurity: 3"), "--dry-run=server"),
                  r"rack1-tor configured \(server dry run\)")
        self.equal("it was not stored", self.field("bgppeer rack1-tor", ".spec.ttlSecurity"), "1")
        self.says("a dry run is validated", self.run("create", "--dry-run=server", "-f", "-", stdin=peer.replace("10.0.1.9", "nowhere")),
                  "spec.peerIP", code=1)
        self.says("delete --dry-run=server", self.run("delete", "bgppeer", "rack1-tor", "--dry-run=server"), r"deleted.*\(server dry run\)")
        self.says("it is still there", self.run("get", "bgppeer", "rack1-tor"), "rack1-tor")
        self.says("patch --dry-run=server", self.run("patch", "bgppeer", "rack1-tor", "--dry-run=server", "--type=merge", "-p",
                                                     '{"spec":{"ttlSecurity":9}}'), "rack1-tor")
        self.says("label --dry-run=server", self.run("label", "bgppeer", "rack1-tor", "a=b", "--dry-run=server"), "rack1-tor")
        self.equal("labels are as before", self.field("bgppeer rack1-tor", ".metadata.labels.a"), "")

    def outputs(self):
        get = lambda *more: self.run("get", "bgppeer", "rack1-tor", *more)
        self.says("table", get(), r"^NAME +PEER IP +AS +NODES +PEERS +AGE$", r"^rack1-tor +10\.0\.1\.1 +4200000001 +rack == '1' +\d+s$")
        self.says("wide", get("-o", "wide"), r"LOCAL AS +PASSWORD +AGE$", r"bgp-passwords")
        self.says("--no-headers", get("--no-headers"), r"\Arack1-tor ")
        self.says("--show-labels", get("--show-labels"), r"LABELS$", r"rack=1,tier=tor$")
        self.says("-L", get("-L", "tier"), r"TIER$", r"tor$")
        self.says("name", get("-o", "name"), r"\Abgppeer\.projectcalico\.org/rack1-tor$")
        whole = get("-o", "json").json()
        self.equal("json", (whole["apiVersion"], whole["kind"], whole["spec"]["asNumber"]), ("projectcalico.org/v3", "BGPPeer", 4200000001))
        self.equal("yaml is the same", yaml.safe_load(get("-o", "yaml").out)["spec"], whole["spec"])
        self.check("metadata", set(whole["metadata"]) >= {"name", "uid", "resourceVersion", "creationTimestamp", "generation", "labels"})
        self.equal("jsonpath", get("-o", "jsonpath={.spec.peerIP}").out, "10.0.1.1")
        self.says("custom columns", get("-o", "custom-columns=N:.metadata.name,AS:.spec.asNumber"), r"^rack1-tor +4\.?2")
        self.equal("go-template", get("-o", "go-template={{.spec.peerIP}}").out, "10.0.1.1")
        self.says("several names", self.run("get", "nodes.projectcalico.org", "rack1-a", "rack2-a"), "rack1-a", "rack2-a")
        self.says("several types", self.run("get", "bgppeers,bgpfilters"), "bgppeer.projectcalico.org/rack1-tor",
                  "bgpfilter.projectcalico.org/only-pods")
        self.says("get all", self.run("get", "all"), "bgppeer.*rack1-tor", "node.*rack2-a", "bgpconfiguration.*default")
        self.says("get a category", self.run("get", "calico"), "bgpfilter.*only-pods")
        self.says("a short name", self.run("get", "bgpconfig"), "default", "64512")
        self.says("the short name of the type", self.run("get", "bgpp"), "doesn't have a resource type", code=1)
        self.says("filters count their rules", self.run("get", "bgpfilters"), r"EXPORT V4", r"^only-pods +2 +0 +0 +0 ")
        self.says("nodes", self.run("get", "nodes"), r"^rack2-a .*10\.0\.2\.11/24 .*244\.0\.0\.1")
        self.says("describe", self.run("describe", "bgppeer", "rack1-tor"), r"^Name: +rack1-tor", r"Peer I[Pp]: +10\.0\.1\.1", r"Ttl Security: +1")
        self.says("describe a Secret", self.run("describe", "secret", "bgp-passwords"), r"^Type: +Opaque", r"tor: +12 bytes")
        self.says("sorted", self.run("get", "nodes", "--sort-by=.metadata.name"), "rack1-a")
        rows = self.run("get", "nodes", "--no-headers", "--sort-by={.spec.bgp.ipv4Address}").out.split("\n")
        self.equal("sorted by a field", [row.split()[0] for row in rows if row], ["rack1-a", "rack2-a"])
        self.says("-f", self.run("get", "-f", "-", stdin=FLEET), "rack1-tor", "only-pods", "bgp-passwords")
        self.says("as a list", self.run("get", "bgppeers,nodes", "-o", "json"), '"kind": "List"')

    def selecting(self):
        for name in ("a", "b", "c"):
            self.run("create", "-f", "-", stdin=PEER % (f"extra-{name}", f"10.0.3.{ord(name)}"))
        names = lambda *more: sorted(self.run("get", "bgppeers", "-o", "name", *more).out.replace("bgppeer.projectcalico.org/", "").split())
        self.equal("label", names("-l", "tier=extra"), ["extra-a", "extra-b", "extra-c"])
        self.equal("not that label", names("-l", "tier!=extra"), ["rack1-tor"])
        self.equal("one of", names("-l", "tier in (tor, spine)"), ["rack1-tor"])
        self.equal("none of", names("-l", "tier notin (tor)"), ["extra-a", "extra-b", "extra-c"])
        self.equal("has", names("-l", "rack"), ["rack1-tor"])
        self.equal("has not", names("-l", "!rack"), ["extra-a", "extra-b", "extra-c"])
        self.equal("two", names("-l", "tier=tor,rack=1"), ["rack1-tor"])
        self.equal("by field", names("--field-selector=metadata.name=extra-b"), ["extra-b"])
        self.equal("not by field", names("--field-selector=metadata.name!=extra-b", "-l", "tier=extra"), ["extra-a", "extra-c"])
        self.says("a field that cannot be selected by", self.run("get", "bgppeers", "--field-selector=spec.node=x"), "not supported", code=1)
        self.says("nothing selected", self.run("get", "bgppeers", "-l", "tier=none"), "No resources found")
        for size in (1, 2, 3, 500):
            self.equal(f"pages of {size}", names(f"--chunk-size={size}"), ["extra-a", "extra-b", "extra-c", "rack1-tor"])
        table = self.run("get", "bgppeers", "--chunk-size=1", "--no-headers")
        self.equal("a table in pages", len(table.out.strip().split("\n")), 4)

    def changing(self):
        field = lambda path: self.field("bgppeer extra-a", path)
        self.says("label", self.run("label", "bgppeer", "extra-a", "colour=red"), "labeled")
        self.equal("labelled", field(".metadata.labels.colour"), "red")
        self.says("label again", self.run("label", "bgppeer", "extra-a", "colour=blue"), "overwrite", code=1)
        self.says("label --overwrite", self.run("label", "bgppeer", "extra-a", "colour=blue", "--overwrite"), "labeled")
        self.says("label all", self.run("label", "bgppeers", "-l", "tier=extra", "batch=1"), "extra-a", "extra-c")
        self.run("label", "bgppeer", "extra-a", "colour-")
        self.equal("unlabelled", field(".metadata.labels.colour"), "")
        self.says("a label that is none", self.run("label", "bgppeer", "extra-a", "a/b/c=d"), "", code=1)
        self.says("annotate", self.run("annotate", "bgppeer", "extra-a", "note=why"), "annotate")
        self.equal("annotated", field(".metadata.annotations.note"), "why")
        self.run("annotate", "bgppeer", "extra-a", "note-")
        self.equal("not annotated", field(".metadata.annotations.note"), "")
        patch = lambda kind, text: self.run("patch", "bgppeer", "extra-a", f"--type={kind}", "-p", text)
        self.says("merge patch", patch("merge", '{"spec":{"asNumber":65000,"keepaliveTime":"10s"}}'), "patched")
        self.equal("patched", (field(".spec.asNumber"), field(".spec.keepaliveTime")), ("65000", "10s"))
        self.says("merge patch takes away", patch("merge", '{"spec":{"keepaliveTime":null}}'), "patched")
        self.equal("taken away", field(".spec.keepaliveTime"), "")
        self.says("patch without a change", patch("merge", '{"spec":{"asNumber":65000}}'), r"patched \(no change\)")
        self.says("JSON patch", patch("json", '[{"op":"test","path":"/spec/asNumber","value":65000},'
                                              '{"op":"replace","path":"/spec/asNumber","value":65001}]'), "patched")
        self.equal("patched too", field(".spec.asNumber"), "65001")
        self.says("JSON patch whose test fails", patch("json", '[{"op":"test","path":"/spec/asNumber","value":1}]'), "test", code=1)
        self.says("strategic patch, which is kubectl's own choice", patch("strategic", '{"spec":{"asNumber":65001,"keepaliveTime":"20s"}}'), "patched")
        self.equal("patched by it", field(".spec.keepaliveTime"), "20s")
        self.says("a directive", patch("strategic", '{"spec":{"$patch":"replace"}}'), "not supported", code=1)
        self.says("a patch that makes it invalid", patch("merge", '{"spec":{"peerIP":"nowhere"}}'), 'The BGPPeer "extra-a" is invalid: .*spec.peerIP', code=1)
        self.says("a stale patch", patch("merge", '{"metadata":{"resourceVersion":"1"},"spec":{"asNumber":2}}'), r"\(Conflict\)", code=1)
        self.says("edit", self.run("edit", "bgppeer", "extra-a", KUBE_EDITOR="sed -i s/65001/65002/"), "edited")
        self.equal("edited", field(".spec.asNumber"), "65002")
        self.says("edit nothing", self.run("edit", "bgppeer", "extra-a", KUBE_EDITOR="true"), "no changes made|cancelled")

    def replacing(self):
        text = self.run("get", "bgppeer", "extra-b", "-o", "yaml").out
        self.says("replace", self.run("replace", "-f", "-", stdin=text.replace("64999", "64998")), "replaced")
        self.equal("replaced", self.field("bgppeer extra-b", ".spec.asNumber"), "64998")
        self.says("replace with a stale version", self.run("replace", "-f", "-", stdin=text.replace("64999", "64997")),
                  r"\(Conflict\)", "the object has been modified", code=1)
        self.says("replace what is not there", self.run("replace", "-f", "-", stdin=PEER % ("none", "10.0.3.1")), r"\(NotFound\)", code=1)
        uid = self.field("bgppeer extra-b", ".metadata.uid")
        self.says("replace --force", self.run("replace", "--force", "-f", "-", stdin=PEER % ("extra-b", "10.0.3.98")), "deleted", "replaced")
        self.check("it is another one", self.field("bgppeer extra-b", ".metadata.uid") not in ("", uid))

    def creating(self):
        self.says("create what is there", self.run("create", "-f", "-", stdin=PEER % ("extra-c", "10.0.3.99")), r"\(AlreadyExists\)", code=1)
        named = PEER.replace("name: %s", "generateName: made-") % "10.0.3.50"
        made = self.run("create", "-f", "-", "-o", "name", stdin=named)
        self.says("generateName", made, r"bgppeer\.projectcalico\.org/made-[a-z0-9]+")
        self.says("it is there", self.run("get", made.out.strip()), "10.0.3.50")
        several = self.run("create", "-f", "-", stdin=f"{PEER % ('many-1', '10.0.4.1')}---\n{PEER % ('many-2', '10.0.4.2')}")
        self.says("create several", several, "many-1 created", "many-2 created")
        a_list = json.dumps({"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(PEER % (f"many-{n}", f"10.0.4.{n}")) for n in (3, 4)]})
        self.says("create a List", self.run("create", "-f", "-", stdin=a_list), "many-3 created", "many-4 created")
        items = [yaml.safe_load(PEER % (f"listed-{n}", f"10.0.4.1{n}")) for n in (1, 2)]
        a_list = json.dumps({"apiVersion": "projectcalico.org/v3", "kind": "BGPPeerList", "items": items})
        self.says("apply a BGPPeerList", self.apply(a_list), "listed-1 created", "listed-2 created")
        raw = self.run("create", "--raw", f"{GROUP}/bgppeers", "-f", "-", stdin=json.dumps(yaml.safe_load(PEER % ("raw", "10.0.4.9"))))
        self.says("create --raw, without a Content-Type", raw, '"name":"raw"')

    def sets(self):
        """A folder with a kustomization, and a set of files from which one is taken away."""
        folder = os.path.join(self.folder, "set")
        os.makedirs(folder)
        for name, number in (("one", 1), ("two", 2)):
            self.write(f"set/{name}.yaml", (PEER % (f"set-{name}", f"10.0.6.{number}")).replace("tier: extra", "tier: set"))
        self.write("set/kustomization.yaml", "resources: [one.yaml, two.yaml]\nnamePrefix: k-\ncommonAnnotations: {made-by: kustomize}\n")
        self.says("apply -k", self.run("apply", "-k", folder), "k-set-one created", "k-set-two created")
        self.says("diff -k", self.run("diff", "-k", folder))
        self.equal("what kustomize added", self.field("bgppeer k-set-one", ".metadata.annotations.made-by"), "kustomize")
        self.says("delete -k", self.run("delete", "-k", folder), '"k-set-one" deleted', '"k-set-two" deleted')
        os.remove(os.path.join(folder, "kustomization.yaml"))
        self.says("apply a folder", self.run("apply", "-f", folder), "set-one created", "set-two created")
        os.remove(os.path.join(folder, "two.yaml"))
        only = "--prune-allowlist" if self.version >= (1, 26) else "--prune-whitelist"
        self.says("apply --prune", self.run("apply", "-f", folder, "--prune", "-l", "tier=set", f"{only}=projectcalico.org/v3/BGPPeer"),
                  "set-one unchanged", "set-two pruned")
        self.says("apply --prune leaves the rest", self.run("get", "bgppeers", "set-one", "extra-a"), "set-one", "extra-a")

    def refusals(self):
        bad = self.run("create", "-f", "-", stdin=(PEER % ("bad", "10.0.3.7")).replace("spec: {", "spec: {nodeSelector: all(), "))
        self.says("a rule is broken", bad, r'The BGPPeer "bad" is invalid: ', "spec", code=1)
        worse = (PEER % ("worse", "nowhere")).replace("64999", "-4")
        second = self.run("create", "-f", "-", stdin=f"{PEER % ('good', '10.0.3.6')}---\n{worse}")
        self.says("the bad one of two is named", second, "good created", '"worse" is invalid', code=1)
        two = self.run("create", "-f", "-", stdin=(PEER % ("bad", "nowhere")).replace("asNumber: 64999", "asNumber: -1"))
        self.says("all errors at once", two, r"^\* spec\.peerIP: |spec\.peerIP", r"spec\.asNumber", code=1)
        unknown = (PEER % ("odd", "10.0.3.8")).replace("spec: {", "spec: {colour: red, ")
        refused = self.run("create", "-f", "-", stdin=unknown)
        self.says("an unknown field", refused, 'unknown field "?(spec\\.)?colour"?', code=1)
        if self.version >= (1, 25):  # older ones leave the server's default, which is strict
            self.says("an unknown field, not validated", self.run("create", "--validate=false", "-f", "-", stdin=unknown), "odd created")
            warned = self.run("create", "--validate=warn", "-f", "-", stdin=unknown.replace("name: odd", "name: odd2"))
            self.says("an unknown field, with a warning", warned, "odd2 created", 'Warning: .*unknown field "spec.colour"')
        self.says("not there", self.run("get", "bgppeer", "none"), r'Error from server \(NotFound\): bgppeers\.projectcalico\.org "none" not found', code=1)
        self.says("delete what is not there", self.run("delete", "bgppeer", "none"), r"\(NotFound\)", code=1)
        self.says("--ignore-not-found", self.run("delete", "bgppeer", "none", "--ignore-not-found"))
        self.says("a name that is none", self.run("create", "-f", "-", stdin=PEER % ("-x", "10.0.3.3")), "metadata.name", code=1)
        warned = self.run("create", "-f", "-", stdin=(PEER % ("warned", "10.0.3.4")).replace("rack1-a", "rack9-z"))
        self.says("advice is a warning", warned, "warned created", r'Warning: spec\.node: there is no Node "rack9-z" yet')
        self.says("--warnings-as-errors", self.run("create", "--warnings-as-errors", "-f", "-",
                                                   stdin=(PEER % ("warned2", "10.0.3.4")).replace("rack1-a", "rack9-z")), "Warning", code=1)
        self.says("a namespace cannot be made", self.run("create", "ns", "x"), "while it has Secrets", code=1)
        self.says("nothing to scale", self.run("scale", "bgppeer", "rack1-tor", "--replicas=2"), r"\(NotFound\)", code=1)
        self.says("no status of its own", self.run("get", "--raw", f"{GROUP}/bgppeers/rack1-tor/status"), r"\(NotFound\)", code=1)

    def secrets(self):
        create = lambda name, *more: self.run("create", "secret", "generic", name, *more)
        self.says("create secret", create("s1", f"--from-literal=a={PASSWORD}", "--from-literal=b=two"), "secret/s1 created")
        self.says("create secret twice", create("s1", "--from-literal=a=x"), "[Aa]lready ?[Ee]xists", code=1)
        self.says("create secret --dry-run=server", create("s2", "--from-literal=a=x", "--dry-run=server"), r"\(server dry run\)")
        path = self.write("password", PASSWORD)
        self.says("create secret from a file", create("s3", f"--from-file=key={path}"), "secret/s3 created")
        self.says("the table", self.run("get", "secrets"), r"^NAME +TYPE +DATA +AGE$", r"^s1 +Opaque +2 ")
        self.says("all namespaces", self.run("get", "secrets", "-A"), r"^NAMESPACE +NAME", r"^default +s1 ")
        whole = self.run("get", "secret", "s1", "-o", "json").json()
        self.equal("nobody reads it back", whole["data"], {"a": MARKER, "b": MARKER})
        values = json.loads(whole["metadata"]["annotations"]["bgppeerd.io/values"])
        self.equal("what is said of a value", (sorted(values["a"]), values["a"]["size"]), (["fingerprint", "modified", "size", "version"], -(-len(PASSWORD) // 8) * 8))
        other = json.loads(self.field("secret s3", r".metadata.annotations.bgppeerd\.io/values"))
        self.equal("equal values elsewhere do not show", other["key"]["fingerprint"] != values["a"]["fingerprint"], True)
        self.says("label a Secret", self.run("label", "secret", "s1", "use=bgp"), "labeled")
        self.says("select by it", self.run("get", "secrets", "-l", "use=bgp", "-o", "name"), r"\Asecret/s1$")
        text = self.run("get", "secret", "s1", "-o", "yaml").out
        self.says("get, change, replace", self.run("replace", "-f", "-", stdin=text.replace("use: bgp", "use: other")), "replaced")
        after = json.loads(self.field("secret s1", r".metadata.annotations.bgppeerd\.io/values"))
        self.equal("the values are kept", after, values)
        self.says("edit a Secret", self.run("edit", "secret", "s1", KUBE_EDITOR="sed -i 's/use: other/use: edited/'"), "edited")
        self.equal("edited", self.field("secret s1", ".metadata.labels.use"), "edited")
        self.says("patch a Secret (strategic)", self.run("patch", "secret", "s1", "-p", '{"stringData":{"b":"three"}}'), "patched")
        after = json.loads(self.field("secret s1", r".metadata.annotations.bgppeerd\.io/values"))
        self.check("one value has changed", after["a"] == values["a"] and after["b"]["version"] > values["b"]["version"])
        self.run("patch", "secret", "s1", "--type=json", "-p", '[{"op":"remove","path":"/data/b"}]')
        self.equal("a value is taken away", self.run("get", "secret", "s1", "-o", "json").json()["data"], {"a": MARKER})
        applied = "apiVersion: v1\nkind: Secret\nmetadata: {name: s4}\nstringData: {x: %s, y: other-value}\n" % PASSWORD
        self.says("apply a Secret", self.apply(applied), "secret/s4 created")
        self.says("apply with another value", self.apply(applied.replace("other-value", "new-value")), "secret/s4 configured")
        self.apply(applied.replace(", y: other-value", ""))
        self.says("the annotation has no value", self.run("get", "secret", "s4", "-o", "yaml"), r'last-applied-configuration: \|', r'"x":""')
        base64_value = base64.b64encode(PASSWORD.encode()).decode()
        everything = "".join(self.run("get", "secrets", "-A", "-o", form).out for form in ("yaml", "json", "wide"))
        everything += self.run("describe", "secrets", "-A").out
        self.check("no password in any answer", PASSWORD not in everything and base64_value not in everything)
        self.says("a Secret elsewhere", self.run("create", "-n", "other", "-f", "-", stdin=applied), "secret/s4 created")
        self.says("its namespace is there now", self.run("get", "ns"), r"^other +Active")
        self.says("describe the namespace", self.run("get", "ns", "other", "-o", "yaml"), "phase: Active")
        self.says("one namespace only", self.run("get", "secrets", "-n", "other", "-o", "name"), r"\Asecret/s4\n\Z")
        self.says("delete with sessions that need it", self.run("delete", "secret", "bgp-passwords"), "deleted", "Warning: .*still use")
        self.says("delete", self.run("delete", "secret", "s4", "-n", "other"), 'secret "s4" deleted')
        self.says("delete all of a namespace", self.run("delete", "secrets", "--all"), '"s1" deleted', '"s3" deleted')
        self.says("none left", self.run("get", "secrets"), "No resources found in default namespace")

    def read_line(self, process, pattern):
        """Lines of a watch until one that matches; the watch is ended when it does not come."""
        end = time.monotonic() + SECONDS
        seen = []
        os.set_blocking(process.stdout.fileno(), False)
        while time.monotonic() < end:
            line = process.stdout.readline()
            if line:
                seen.append(line)
                if re.search(pattern, line):
                    return True, seen
            else:
                time.sleep(0.02)
        return False, seen

    def watches(self):
        watch = self.start("get", "bgppeers", "-w", "-l", "watched=yes")
        events = self.start("get", "bgppeers", "--watch-only", "-o", "name", "-l", "watched=yes")
        wide = self.start("get", "bgppeers", "-w", "--output-watch-events", "-l", "watched=yes")
        one = self.start("get", "bgppeer", "extra-a", "-w")
        self.check("get -w of one: as it is", *self.read_line(one, "extra-a"))
        time.sleep(1)
        self.run("create", "-f", "-", stdin=(PEER % ("seen", "10.0.5.1")).replace("tier: extra", "watched: 'yes'"))
        self.check("get -w: created", *self.read_line(watch, r"seen +10\.0\.5\.1 +64999"))
        self.check("--watch-only", *self.read_line(events, "bgppeer.projectcalico.org/seen"))
        self.check("event ADDED", *self.read_line(wide, r"ADDED +seen"))
        self.run("patch", "bgppeer", "seen", "--type=merge", "-p", '{"spec":{"asNumber":64111}}')
        self.check("get -w: changed", *self.read_line(watch, r"seen +10\.0\.5\.1 +64111"))
        self.check("event MODIFIED", *self.read_line(wide, r"MODIFIED +seen"))
        self.run("label", "bgppeer", "seen", "watched-")
        self.check("event DELETED for one that leaves the selection", *self.read_line(wide, r"DELETED +seen"))
        self.run("patch", "bgppeer", "extra-a", "--type=merge", "-p", '{"spec":{"asNumber":64222}}')
        self.check("get -w of one: changed", *self.read_line(one, "64222"))
        for process in (watch, events, wide, one):
            self.check("a watch stays open", process.poll() is None)
            process.kill()
            process.communicate()
        if self.version >= (1, 30):
            informer = self.run("get", "bgppeers", "-w", "--request-timeout=3s", KUBE_FEATURE_WatchListClient="true")
            self.check("streaming lists do not hang", "extra-a" in informer.out, informer.err)

    def watching_sessions(self):
        """A session's state is printed when its agent reports another one."""
        with Service() as service:
            other = Session(self.program, service)
            other.apply(FLEET.replace("ipv4Address: 10.0.2.11/24, ", ""))
            path = f"{GROUP}/nodes/rack1-a/peerings"

            def report(sequence, state):
                etag = service.request("GET", path).headers["ETag"].strip('"')
                return service.request("PUT", f"{path}/status", {
                    "kind": "PeeringStatus", "list": etag, "agent": {"boot": "b", "sequence": sequence},
                    "sessions": [{"peerIP": "10.0.1.1", "state": state}]}).status

            watch = other.start("get", "sessions", "-w", "--output-watch-events")
            sorted_ones = other.run("get", "sessions", "--sort-by=.verdict")
            other.check("get sessions -w: what there is", *self.read_line(watch, r"ADDED +rack1-a +10\.0\.1\.1 "))
            other.equal("a report is taken", report(1, "Active"), 200)
            other.check("get sessions -w: a state", *self.read_line(watch, r"(ADDED|MODIFIED) +rack1-a +10\.0\.1\.1 .* Active "))
            other.equal("another one is taken", report(2, "Established"), 200)
            other.check("get sessions -w: another state", *self.read_line(watch, r"MODIFIED +rack1-a +10\.0\.1\.1 .* Established "))
            other.says("transitions", other.run("get", "transitions"), "No resources found|^TIME +NODE +PEER")
            other.check("a watch of sessions stays open", watch.poll() is None)
            other.says("sessions in order", sorted_ones, "rack1-a")
            watch.kill()
            watch.communicate()
            self.passed, self.failed = self.passed + other.passed, self.failed + other.failed

    def waiting(self):
        waiter = self.start("wait", "--for=delete", "bgppeer/seen", "--timeout=60s")
        time.sleep(0.5)
        self.run("delete", "bgppeer", "seen", "--wait=false")
        out, err = waiter.communicate(timeout=SECONDS)
        self.check("wait --for=delete", waiter.returncode == 0, out + err)
        if self.version >= (1, 23):
            waiter = self.start("wait", "--for=jsonpath={.spec.asNumber}=64777", "bgppeer/extra-a", "--timeout=60s")
            time.sleep(0.5)
            self.run("patch", "bgppeer", "extra-a", "--type=merge", "-p", '{"spec":{"asNumber":64777}}')
            out, err = waiter.communicate(timeout=SECONDS)
            self.check("wait --for=jsonpath", waiter.returncode == 0, out + err)
            if self.version >= (1, 31):
                self.says("wait --for=create", self.run("wait", "--for=create", "bgppeer/extra-a", "--timeout=20s"), "condition met")
            late = self.run("wait", "--for=jsonpath={.spec.asNumber}=1", "bgppeer/extra-a", "--timeout=1s")
            self.says("wait in vain", late, "timed out", code=1)

    def deleting(self):
        self.says("delete one", self.run("delete", "bgppeer", "raw"), 'bgppeer.projectcalico.org "raw" deleted')
        self.says("it is gone", self.run("get", "bgppeer", "raw"), "NotFound", code=1)
        self.says("delete several", self.run("delete", "bgppeer", "many-1", "many-2"), '"many-1" deleted', '"many-2" deleted')
        self.says("delete -f", self.run("delete", "-f", "-", stdin=PEER % ("many-3", "10.0.4.3")), '"many-3" deleted')
        self.says("delete -l", self.run("delete", "bgppeers", "-l", "batch=1"), '"extra-a" deleted')
        self.says("delete --cascade", self.run("delete", "bgppeer", "many-4", "--cascade=foreground" if self.version >= (1, 20) else "--cascade"), "deleted")
        self.says("delete --now", self.run("delete", "bgppeer", "warned", "--now"), "deleted")
        self.says("delete --all", self.run("delete", "bgppeers", "--all"), '"rack1-tor" deleted')
        self.says("delete all of several types", self.run("delete", "nodes.projectcalico.org,bgpfilters,bgpconfigurations", "--all"), "rack1-a", "only-pods", "default")
        self.says("nothing left", self.run("get", "all"), "No resources found")

    def whole(self):
        for part in (self.discovery, self.explaining, self.applying, self.dry_runs, self.outputs, self.selecting, self.changing,
                     self.replacing, self.creating, self.sets, self.refusals, self.secrets, self.watches,
                     self.watching_sessions, self.waiting, self.deleting):
            before = self.failed
            try:
                part()
            except (subprocess.TimeoutExpired, ValueError, KeyError, IndexError) as problem:
                self.check(f"{part.__name__} came to its end", False, repr(problem))
            if self.failed > before:
                print(f"    ... in {part.__name__} of {self.program}", flush=True)
        log = self.service.log()
        self.check("no password in the log", PASSWORD not in log and base64.b64encode(PASSWORD.encode()).decode() not in log)
        self.check("nothing failed inside", not re.search(r"internal-error|no-answer|level=error", log))


def hold_session(program):
    started = time.monotonic()
    with Service() as service:
        session = Session(program, service)
        session.whole()
    print(f"{program} ({session.version[0]}.{session.version[1]}): {session.passed} passed, {session.failed} failed, "
          f"{time.monotonic() - started:.1f} s", flush=True)
    return session


def main():
    clients = find_clients()
    if not clients:
        print("skipped 'no kubectl is installed: `make deps-clients` brings one'", file=sys.stderr)
        print("0 passed, 0 failed, 1 skipped")
        return 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(hold_session, clients))
    failed = sum(session.failed for session in results)
    print(f"{sum(session.passed for session in results)} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
