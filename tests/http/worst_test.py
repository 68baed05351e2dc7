"""No input costs more than work proportional to its length: every element of every grammar that the service reads,
n, 2n and 4n times, with the instructions counted by valgrind. Twice the input may cost less than 2.5 times the
instructions, and a byte of input has a bound of its own. Nothing here measures time.

tests/run: timeout 600
"""
import json
import os
import re
import subprocess
import tempfile
import unittest

from service import INSTRUMENTED, PROGRAM

WORST = os.path.join(os.path.dirname(PROGRAM), "tests/bench/worst")
GROWTH = 2.5
PER_BYTE = 4000  # instructions; the dearest accepted input needs half as many
FIXED = 400_000  # … of a call, whatever its input
# … of families that cost much and are bounded by something else than their length: copies, by 2 MiB of values of
# 32 bytes and more; keys of a Secret, each of which is encrypted, by 1,000.
DEAR = {"copies of all": 300_000_000, "sealing": 100_000_000, "sealing what is in both": 100_000_000}
LENGTH = 16 * 1024  # of the longest input of a family, about


def unit(way, head, text, tail="", more=""):
    """Inputs of one element, repeated. `#` in it is the element's number."""
    size = len(text) + 4 * text.count("#") + len(more)
    count = max(LENGTH // size // 4, 4)

    def build(times):
        return head + "".join(text.replace("#", str(i)) for i in range(times * count)) + more * times * count + tail
    return way, build


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def envelope(kind, raw):
    version = b"v1" if kind == "Secret" else b"authorization.k8s.io/v1"
    return b"k8s\0" + field(1, field(1, version) + field(2, kind.encode())) + field(2, raw)


def protobuf_secret(element):
    def build(times):
        meta = field(1, field(1, b"s"))
        return envelope("Secret", meta + b"".join(element(i) for i in range(times * 100)))
    return build


def map_entry(number, i):
    return field(number, field(1, b"key%d" % i) + field(2, b"value"))


YAML = {
    "directives": unit("split:yaml", "", "%TAG !#! !\n", "---\na: b\n"),
    "unknown directives": unit("split:yaml", "", "%FOO# bar\n", "---\na: b\n"),
    "a long prefix, many tags": unit("split:yaml", "%TAG !x! !" + "y" * 20000 + "\n---\na:\n", " - !x!a <<: {}\n"),
    "tags": unit("split:yaml", "", "a#: !!str b\n"),
    "a long tag": unit("split:yaml", "a: !", "x", " b\n"),
    "documents": unit("split:yaml", "", "---\n"),
    "ends of documents": unit("split:yaml", "", "--- \n...\n"),
    "documents after anchors": unit("split:yaml", "a:\n" + "".join(f" - &a{i} 1\n" for i in range(2000)), "---\n", "b: 1\n"),
    "documents with anchors": unit("split:yaml", "", "--- &a#\n"),
    "anchors": unit("split:yaml", "", "a#: &a# x\n"),
    "one anchor again and again": unit("split:yaml", "", "a#: &a x\n"),
    "aliases": unit("split:yaml", "x: &a [1]\ny:\n", " - *a\n"),
    "merges": unit("split:yaml", "x: &a {b: 1}\ny:\n", " - <<: *a\n"),
    "merges of one mapping": unit("split:yaml", "x: &a {b: 1}\ny:\n", " <<: *a\n"),
    "merges of merges": unit("split:yaml", "x: &a {b: 1}\ny: {<<: [", "*a,", "]}\n"),
    "blank lines in a plain scalar": unit("split:yaml", "a: b", "\n\n\n", more=" c\n"),
    "blank lines in double quotes": unit("split:yaml", "a: \"b", "\n\n\n", "\"", " c\n"),
    "blank lines in single quotes": unit("split:yaml", "a: 'b", "\n\n\n", "'", " c\n"),
    "blank lines in a literal": unit("split:yaml", "a: |\n c\n", "\n\n\n", more=" c\n"),
    "blank lines in a folded scalar": unit("split:yaml", "a: >\n c\n", "\n\n\n", more=" c\n"),
    "blanks in a plain scalar": unit("split:yaml", "a: b", "   ", more=" c"),
    "blanks in quotes": unit("split:yaml", "a: \"b", "   ", "\"", " c"),
    "half blanks that are allowed": unit("split:yaml", "a: \"b", " " * 500 + "c c c c c c c c c c ", "\""),
    "flow sequence": unit("split:yaml", "[", "a,", "]"),
    "flow mapping": unit("split:yaml", "{", "a#: b,", "}"),
    "nested flow": unit("split:yaml", "b:\n", " - " + "[" * 29 + "]" * 29 + "\n"),
    "nested flow mappings": unit("split:yaml", "b:\n", " - " + "{a: " * 28 + "1" + "}" * 28 + "\n"),
    "nesting without end": unit("split:yaml", "", "["),
    "nested block": unit("split:yaml", "", "- " * 30 + "a\n"),
    "simple keys in flow": unit("split:yaml", "[", "\"a\" ,", "]"),
    "explicit keys": unit("split:yaml", "", "? a#\n: b\n"),
    "comments": unit("split:yaml", "", "# x\n", "a: b\n"),
    "a long comment": unit("split:yaml", "#", "xxxx", "\na: b\n"),
    "a long plain scalar": unit("split:yaml", "a: ", "xxxx"),
    "a long quoted scalar": unit("split:yaml", "a: \"", "xxxx", "\""),
    "escapes": unit("split:yaml", "a: \"", "\\x41", "\""),
    "a long key": unit("split:yaml", "\"", "xxxx", "\": a\n"),
    "a folded scalar": unit("split:yaml", "a: >\n", " x\n"),
    "repeated keys": unit("BGPPeer:yaml", "metadata: {name: x}\n", "a: 1\n"),
    "repeated keys deep down": unit("BGPPeer:yaml", "metadata: {name: x}\n" + "x" * 1000 + ":\n", " a: 1\n"),
    "numbers": unit("split:yaml", "a:\n", " - " + "1" * 120 + "\n"),
    "characters of three bytes": unit("split:yaml", "a: ", "\u20ac"),
}
JSON = {
    "unknown members": unit("BGPPeer", '{"metadata":{"name":"x"}', ',"a#":1', "}"),
    "unknown members below": unit("BGPPeer", '{"metadata":{"name":"x"},"spec":{"peerIP":"10.0.0.1"', ',"nodeSelectr#":1', "}}"),
    "repeated members": unit("BGPPeer", '{"metadata":{"name":"x"}', ',"a":1', "}"),
    "repeated members of objects": unit("BGPPeer", '{"metadata":{"name":"x"},"y":[', '{"a":1,"a":2},', "1]}"),
    "labels": unit("Node", '{"metadata":{"name":"x","labels":{', '"l#":"v",', '"z":"z"}}}'),
    "bad labels": unit("Node", '{"metadata":{"name":"x","labels":{', '"!#":"!",', '"z":"z"}}}'),
    "labels that are not portable": unit("Node", '{"metadata":{"name":"x","labels":{', '"l#_":"v",', '"z":"z"}}}'),
    "annotations": unit("Node", '{"metadata":{"name":"x","annotations":{', '"l#":"v",', '"z":"z"}}}'),
    "filters": unit("BGPPeer", '{"metadata":{"name":"x"},"spec":{"peerIP":"10.0.0.1","filters":[', '"f#",', '"z"]}}'),
    "bad filters": unit("BGPPeer", '{"metadata":{"name":"x"},"spec":{"peerIP":"10.0.0.1","filters":[', '1,', '"z"]}}'),
    "rules": unit("BGPFilter", '{"metadata":{"name":"x"},"spec":{"importV4":[', '{"action":"Accept"},', '{"action":"Reject"}]}}'),
    "rules with networks": unit("BGPFilter", '{"metadata":{"name":"x"},"spec":{"importV4":[', '{"action":"Accept","matchOperator":"In","cidr":"10.0.0.0/8"},',
                                '{"action":"Reject"}]}}'),
    "networks": unit("BGPConfiguration", '{"metadata":{"name":"default"},"spec":{"serviceExternalIPs":[', '{"cidr":"10.0.0.0/8"},', '{"cidr":"10.0.0.0/8"}]}}'),
    "networks of a node": unit("Node", '{"metadata":{"name":"x"},"spec":{"bgp":{"prefixAdvertisements":[', '{"cidr":"10.0.0.0/8"},', '{"cidr":"10.0.0.0/8"}]}}}'),
    "AS path": unit("BGPFilter", '{"metadata":{"name":"x"},"spec":{"importV4":[{"action":"Accept","asPathPrefix":[', '#,', '1]}]}}'),
    "interfaces": unit("BGPConfiguration", '{"metadata":{"name":"default"},"spec":{"ignoredInterfaces":[', '"eth#",', '"z"]}}'),
    "communities": unit("BGPConfiguration", '{"metadata":{"name":"default"},"spec":{"prefixAdvertisements":[{"cidr":"10.0.0.0/8","communities":["x"]}],"communities":[',
                        '{"name":"c#","value":"1:1"},', '{"name":"z","value":"1:1"}]}}'),
    "addresses": unit("Node", '{"metadata":{"name":"x"},"spec":{"addresses":[', '{"address":"10.0.0.1"},', '{"address":"10.0.0.2"}]}}'),
    "a long number": unit("BGPPeer", '{"metadata":{"name":"x"},"a":1.', "0000", "}"),
    "a long exponent": unit("BGPPeer", '{"metadata":{"name":"x"},"a":1', "0000", "e-5000}"),
    "a long string": unit("BGPPeer", '{"metadata":{"name":"x"},"spec":{"peerIP":"', "xxxx", '"}}'),
    "escapes": unit("BGPPeer", '{"metadata":{"name":"x"},"spec":{"peerIP":"', "\\u00e4", '"}}'),
    "a long selector": unit("BGPPeer", '{"metadata":{"name":"x"},"spec":{"nodeSelector":"', "a == 'b' || ", "has(a)\"}}"),
    "arrays": unit("BGPPeer", '{"metadata":{"name":"x"},"a":[', "[],", "1]}"),
    "nesting": unit("BGPPeer", '{"metadata":{"name":"x"},"a":', "["),
    "blanks": unit("BGPPeer", '{"metadata":{"name":"x"}', "    ", "}"),
    "not closed": unit("BGPPeer", '{"a":"', "xxxx"),
    "documents": unit("split", "[", '{"kind":"Node","metadata":{"name":"n#"}},', '{"kind":"Node"}]'),
    "a list's items": unit("split", '{"kind":"List","items":[', '{"kind":"Node","metadata":{"name":"n#"}},', '{"kind":"Node"}]}'),
    "last-applied": unit("Secret", '{"metadata":{"name":"x","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\\"kind\\":\\"Secret\\",\\"data\\":{',
                         '\\"k#\\":\\"eA==\\",', '\\"z\\":\\"\\"}}"}}}'),
    "base64": unit("Secret", '{"metadata":{"name":"x"},"data":{"k":"', "eHh4", '"}}'),
    "keys of a Secret": unit("Secret", '{"metadata":{"name":"x"},"data":{', '"k#":"eA==",', '"z":"eA=="}}'),
    "unusable passwords": unit("Secret", '{"metadata":{"name":"x"},"stringData":{', '"k#":" ",', '"z":" "}}'),
}
PATCHES = {
    "removals in front": unit("json-patch", '[{"op":"add","path":"/x","value":[' + "0," * 2000 + '0]}', ',{"op":"remove","path":"/x/0"}', "]"),
    "insertions in front": unit("json-patch", '[{"op":"add","path":"/x","value":[' + "0," * 2000 + '0]}', ',{"op":"add","path":"/x/0","value":1}', "]"),
    "moves to the end": unit("json-patch", '[{"op":"add","path":"/x","value":[' + "0," * 2000 + '0]}', ',{"op":"move","from":"/x/0","path":"/x/-"}', "]"),
    "tests of a large value": unit("json-patch", '[{"op":"add","path":"/x","value":[' + "0," * 2000 + '0]}', ',{"op":"test","path":"/x","value":[0]}', ']'),
    "copies": unit("json-patch", '[{"op":"add","path":"/y","value":"' + "y" * 1000 + '"}', ',{"op":"copy","from":"/y","path":"/x/-"}', "]"),
    "copies of all": unit("json-patch", '[{"op":"test","path":"/kind","value":"Secret"}', ',{"op":"copy","from":"/x","path":"/x/-"}', "]"),
    "a long path": unit("json-patch", '[{"op":"remove","path":"', "/x", '"}]'),
    "escapes of a path": unit("json-patch", '[{"op":"remove","path":"/', "~0~1", '"}]'),
    "members added": unit("json-patch", '[{"op":"add","path":"/y","value":{}}', ',{"op":"add","path":"/y/#","value":1}', "]"),
    "members merged": unit("merge-patch", '{"x":{', '"k#":1,', '"z":1}}'),
    "members taken out": unit("merge-patch", '{"x":{', '"k#":null,', '"z":1}}'),
    "directives": unit("strategic-patch", "{", '"$setElementOrder/x#":[1],', '"z":1}'),
    "lists of directives": unit("strategic-patch", '{"x":[', '{"$retainKeys":[1]},', "1]}"),
}
TEXTS = {
    "selector: or": unit("selector", "", "a == 'b' || ", "has(a)"),
    "selector: not": unit("selector", "", "!", "has(a)"),
    "selector: brackets": unit("selector", "", "("),
    "selector: set": unit("selector", "a in {", "'v#',", "'z'}"),
    "selector: blanks": unit("selector", "", "    ", "has(a)"),
    "selector: a long value": unit("selector", "a == '", "xxxx", "'"),
    "label selector: requirements": unit("label-selector", "", "a=b,", "a"),
    "label selector: absent": unit("label-selector", "", "!a#,", "a"),
    "label selector: set": unit("label-selector", "a in (", "v#,", "z)"),
    "label selector: blanks": unit("label-selector", "", "    ", "a"),
    "label selector: a long key": unit("label-selector", "", "xxxx", "=b"),
    "query: parameters": unit("query", "/?", "a#=b&", "z"),
    "query: ampersands": unit("query", "/?", "&", "z"),
    "query: plus": unit("query", "/?a=", "+", "z"),
    "query: percent": unit("query", "/?a=", "%41", "z"),
    "query: a field selector": unit("query", "/?fieldSelector=", "metadata.name%3Da%2C", "z"),
    "ETags": unit("etag", "", '"e#", ', '"z"'),
    "ETags: weak": unit("etag", "", 'W/"e#",', '"z"'),
    "ETags: commas": unit("etag", "", ", ", '"z"'),
    "ETags: not closed": unit("etag", "", '"'),
    "ETags: without quotes": unit("etag", "", "e#,", "z"),
    "duration: units": unit("duration", "", "1h"),
    "duration: digits": unit("duration", "", "1111", "s"),
    "duration: fraction": unit("duration", "1.", "1111", "s"),
    "subject: organisations": unit("subject", "name", "\nbgppeerd:o#"),
    "subject: a long name": unit("subject", "", "xxxx", "\nbgppeerd:viewer"),
}
FORMS = {
    "review: unknown members": unit("review", '{"spec":{"nonResourceAttributes":{}}', ',"a#":1', "}"),
    "review: a long text": unit("review:yaml", "spec: {nonResourceAttributes: {path: ", "xxxx", "}}"),
    "DeleteOptions: dryRun": unit("delete-options", '{"dryRun":["All"', ',"All"', "]}"),
    "DeleteOptions: members": unit("delete-options:yaml", "", "a#: b\n"),
    "token: members": unit("token:yaml", "spec:\n", " a#: b\n"),
}
PROTOBUF = {
    "protobuf: data": ("Secret:protobuf", protobuf_secret(lambda i: map_entry(2, i))),
    "protobuf: stringData": ("Secret:protobuf", protobuf_secret(lambda i: map_entry(4, i))),
    "protobuf: labels": ("Secret:protobuf", protobuf_secret(lambda i: field(1, map_entry(11, i)))),
    "protobuf: one key again and again": ("Secret:protobuf", protobuf_secret(lambda i: map_entry(2, 0))),
    "protobuf: names": ("Secret:protobuf", protobuf_secret(lambda i: field(1, field(1, b"name%d" % i)))),
    "protobuf: unknown fields of metadata": ("Secret:protobuf", protobuf_secret(lambda i: field(1, field(99, b"x")))),
    "protobuf: review": ("review:protobuf", lambda times: envelope("SelfSubjectAccessReview", field(2, field(1, field(2, b"get") * times * 700)))),
    "protobuf: types": ("Secret:protobuf", lambda times: b"k8s\0" + field(1, field(2, b"Secret") * times * 300)),
}


def secret_keys(times):
    """Sealing: at most 1,000 keys."""
    return json.dumps({"metadata": {"name": "x"}, "stringData": {f"k{i}": "a" for i in range(times * 240)}})


def secret_keys_of_both(times):
    keys = range(times * 240)
    return json.dumps({"metadata": {"name": "x"}, "data": {f"k{i}": "YQ==" for i in keys}, "stringData": {f"k{i}": " " for i in keys}})


SEALING = {"sealing": ("secret", secret_keys), "sealing what is in both": ("secret", secret_keys_of_both)}


@unittest.skipIf(INSTRUMENTED, "valgrind does not run instrumented programs")
class WorstTest(unittest.TestCase):
    def count(self, cases):
        """Instructions of each (way, bytes), and what came of it."""
        with tempfile.TemporaryDirectory(prefix="bgppeerd-worst-") as folder:
            text = b"".join(f"{way} {len(body)}\n".encode() + body for way, body in cases)
            # --toggle-collect counts within the function only, --dump-before writes what one call took.
            done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", "--toggle-collect=measured",
                                   "--dump-after=measured", "--instr-atstart=yes", WORST],
                                  input=text, capture_output=True, check=False, timeout=500)
            self.assertEqual(done.returncode, 0, done.stderr[-2000:])
            outcomes = done.stdout.decode().splitlines()
            self.assertEqual(len(outcomes), len(cases), "one line for each case")
            counts = []
            for number in range(1, len(cases) + 1):
                with open(f"{folder}/out.{number}", encoding="utf-8") as file:
                    counts.append(int(re.search(r"^(?:totals|summary): (\d+)", file.read(), re.M).group(1)))
            return list(zip(counts, outcomes))

    def check(self, families):
        cases = []
        for way, build in families.values():
            for times in (1, 2, 4):
                body = build(times)
                cases.append((way, body if isinstance(body, bytes) else body.encode()))
        counted = self.count(cases)
        for index, name in enumerate(families):
            (first, _), (second, _), (third, outcome) = counted[3 * index:3 * index + 3]
            length = len(cases[3 * index + 2][1])
            with self.subTest(family=name, instructions=(first, second, third), length=length, outcome=outcome[:120]):
                self.assertGreater(first, 100, "the case was counted")
                self.assertLess(second, GROWTH * first + FIXED / 10)
                self.assertLess(third, GROWTH * second + FIXED / 10)
                self.assertLess(third, PER_BYTE * length + DEAR.get(name, FIXED))

    def test_yaml(self):
        self.check(YAML)

    def test_json(self):
        self.check(JSON)

    def test_patches(self):
        self.check(PATCHES)

    def test_texts(self):
        self.check(TEXTS)

    def test_forms(self):
        self.check(FORMS)

    def test_protobuf(self):
        self.check(PROTOBUF)

    def test_sealing(self):
        self.check(SEALING)

    def test_the_count_sees_a_square(self):
        """The measure itself: work that is known to grow with the square is found out."""
        counted = self.count([("square", b"x" * length) for length in (1000, 2000, 4000)])
        for (before, _), (after, _) in zip(counted, counted[1:]):
            self.assertGreater(after, GROWTH * before + FIXED / 10)


if __name__ == "__main__":
    unittest.main()
