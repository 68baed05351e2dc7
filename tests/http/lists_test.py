"""Lists: selectors, pages, versions, tables."""
import unittest
from urllib.parse import quote

from wire import GROUP, ServiceTest

NODES = f"{GROUP}/nodes"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"}


class ListsTest(ServiceTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for i in range(30):
            labels = {"rack": f"r{i % 3}", "example.org/even": "" if i % 2 else "yes"}
            if i >= 20:
                labels["late"] = "true"
            answer = cls.service.request("POST", NODES, {"metadata": {"name": f"n{i:02}", "labels": labels},
                                                         "spec": {"bgp": {"ipv4Address": f"10.0.0.{i + 1}/24"}}})
            assert answer.status == 201, answer.body

    def list(self, query="", headers=None):
        answer = self.request("GET", f"{NODES}{query}", None, headers)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def names(self, query=""):
        return [item["metadata"]["name"] for item in self.list(query)["items"]]

    def test_every_label_that_is_taken_can_be_selected(self):
        for key in ("rr_", "example.org/rr_", "a.b-c/d_e.f", "x" * 63):
            answer = self.request("POST", NODES, {"metadata": {"name": "labelled", "labels": {key: "y"}}, "spec": {}})
            self.assertEqual(answer.status, 201, answer.body)
            for selector in (key, f"{key}=y", f"{key} in (y)"):
                self.assertEqual(self.names("?labelSelector=" + quote(selector)), ["labelled"], selector)
            self.assertEqual(self.request("DELETE", f"{NODES}/labelled").status, 200)
        for key in ("rr__", "_", "a..b/c", "-a/c", "a-.b/c", "/c", "c/", "a/b/c", "x" * 64):
            made = self.request("POST", NODES, {"metadata": {"name": "labelled", "labels": {key: "y"}}, "spec": {}})
            self.assertEqual((made.status, self.request("GET", f"{NODES}?labelSelector=" + quote(key, safe="")).status), (422, 400), key)

    def test_shape(self):
        whole = self.list()
        self.assertEqual((whole["kind"], whole["apiVersion"]), ("NodeList", "projectcalico.org/v3"))
        self.assertRegex(whole["metadata"]["resourceVersion"], r"^\d+$")
        self.assertNotIn("continue", whole["metadata"])
        self.assertEqual([o["metadata"]["name"] for o in whole["items"]], [f"n{i:02}" for i in range(30)])
        self.assertEqual(whole["items"][0], self.request("GET", f"{NODES}/n00").json())
        empty = self.request("GET", f"{GROUP}/bgpfilters").json()
        self.assertEqual((empty["kind"], empty["items"]), ("BGPFilterList", []))

    def test_label_selectors(self):
        every = [f"n{i:02}" for i in range(30)]
        third = [n for i, n in enumerate(every) if i % 3 == 0]
        even = [n for i, n in enumerate(every) if i % 2 == 0]
        for selector, expected in (
                ("rack=r0", third), ("rack==r0", third), (" rack = r0 ", third), ("rack in (r0)", third), ("rack in (r0, r1)", sorted(set(every) - {n for i, n in enumerate(every) if i % 3 == 2})),
                ("rack!=r0", sorted(set(every) - set(third))), ("rack notin (r1,r2)", third), ("rack", every), ("!rack", []), ("late", every[20:]),
                ("! late", every[:20]), ("late!=true", every[:20]), ("late notin (true)", every[:20]), ("rack=r0,late", [n for n in third if n >= "n20"]),
                ("example.org/even=yes", even), ("example.org/even=", sorted(set(every) - set(even))), ("example.org/even in (,yes)", every),
                ("rack=r0,rack=r1", []), ("nothing", []), ("nothing=x", []), ("nothing!=x", every), ("", every)):
            self.assertEqual(self.names(f"?labelSelector={quote(selector)}"), expected, selector)

    def test_malformed_label_selectors(self):
        for selector in ("=", "a=b=c", "a in", "a in (", "a in (b", "a in b", "a notin", "a,", ",a", "a b", "a>x", "a<", "a>1.5", "-a", "a=-", "!", "!a=b", "a=(b)", "a/b/c", "/a", "a/",
                         "a" * 64, "a=" + "b" * 64, "ä", "a=b c", "a in (b c)", "a in (" + ",".join("b" * 300) + ")"):
            status = self.assert_status(self.request("GET", f"{NODES}?labelSelector={quote(selector)}"), 400, "BadRequest")
            self.assertIn("abelSelector", status["message"])
        for selector, at in (("rack>a", 5), ("rack <-1", 6), ("rack=a>b", 6), ("a in (b>c)", 7)):
            status = self.assert_status(self.request("GET", f"{NODES}?labelSelector={quote(selector)}"), 400, "BadRequest")
            self.assertRegex(status["message"], rf"expected .* at byte {at}$", selector)

    def test_field_selectors(self):
        for selector, expected in (("metadata.name=n07", ["n07"]), ("metadata.name==n07", ["n07"]), ("metadata.name=none", []), ("", [f"n{i:02}" for i in range(30)]),
                                   ("metadata.name!=n07", [f"n{i:02}" for i in range(30) if i != 7]), ("metadata.name=n07,metadata.name!=n07", []),
                                   ("metadata.namespace=", [f"n{i:02}" for i in range(30)]), ("metadata.namespace=x", [])):
            self.assertEqual(self.names(f"?fieldSelector={quote(selector)}"), expected, selector)
        for selector in ("spec.node=x", "metadata.name", "=x", "status.phase!=x", "metadata.labels=x"):
            self.assert_status(self.request("GET", f"{NODES}?fieldSelector={quote(selector)}"), 400, "BadRequest")

    def test_pages_are_consistent(self):
        first = self.list("?limit=7")
        version = first["metadata"]["resourceVersion"]
        self.assertEqual(first["metadata"]["remainingItemCount"], 23)
        # What is written between the pages is not in them.
        self.create_node("n08a")
        self.assertEqual(self.request("DELETE", f"{NODES}/n20").status, 200)
        try:
            names, page = [], first
            while True:
                names += [item["metadata"]["name"] for item in page["items"]]
                self.assertEqual(page["metadata"]["resourceVersion"], version)
                token = page["metadata"].get("continue")
                if not token:
                    break
                self.assertEqual(len(page["items"]), 7)
                page = self.list(f"?limit=7&continue={quote(token)}")
            self.assertEqual(names, [f"n{i:02}" for i in range(30)])
            self.assertNotIn("remainingItemCount", page["metadata"])
            at_once = self.list(f"?resourceVersion={version}&resourceVersionMatch=Exact")
            self.assertEqual([item["metadata"]["name"] for item in at_once["items"]], names)
            self.assertIn("n08a", self.names())
        finally:
            self.request("DELETE", f"{NODES}/n08a")
            self.service.request("POST", NODES, {"metadata": {"name": "n20", "labels": {"rack": "r2", "example.org/even": "yes", "late": "true"}},
                                                 "spec": {"bgp": {"ipv4Address": "10.0.0.21/24"}}})

    def test_pages_with_a_selector(self):
        names, token, pages = [], "", 0
        while token is not None:
            page = self.list(f"?limit=3&labelSelector=rack%3Dr1&continue={quote(token)}")
            names += [item["metadata"]["name"] for item in page["items"]]
            self.assertNotIn("remainingItemCount", page["metadata"])
            token = page["metadata"].get("continue")
            pages += 1
        self.assertEqual((names, pages), ([f"n{i:02}" for i in range(30) if i % 3 == 1], 4))

    def test_limits(self):
        for limit, count in (("0", 30), ("1", 1), ("30", 30), ("31", 30), ("9223372036854775807", 30), ("", 30)):
            page = self.list(f"?limit={limit}")
            self.assertEqual((len(page["items"]), "continue" in page["metadata"]), (count, 0 < count < 30))
        for limit in ("-1", "x", "1.5", "9223372036854775808", "1e3"):
            self.assert_status(self.request("GET", f"{NODES}?limit={limit}"), 400, "BadRequest")

    def test_continue_tokens(self):
        token = self.list("?limit=1")["metadata"]["continue"]
        self.assert_status(self.request("GET", f"{GROUP}/bgppeers?continue={quote(token)}"), 400, "BadRequest")
        for bad in ("x", token + "0", token[1:] + "x", "..", "1.nodes.", "1.nodes.zz", "1.nodes.00", "99999999999999999999.nodes.61"):
            self.assert_status(self.request("GET", f"{NODES}?continue={quote(bad)}"), 400, "BadRequest")
        old = "1." + token.split(".", 1)[1]
        status = self.assert_status(self.request("GET", f"{NODES}?continue={quote(old)}"), 410, "Expired")
        self.assertIn("start the list again", status["message"])
        self.assert_status(self.request("GET", f"{NODES}?continue={quote(token)}&resourceVersion=3"), 400, "BadRequest")

    def test_only_a_few_pictures_are_kept(self):
        tokens = []
        for i in range(20):
            tokens.append(self.list("?limit=1")["metadata"]["continue"])
            self.create_peer(f"moves-the-version-{i}")
        self.assertEqual(self.request("GET", f"{NODES}?continue={quote(tokens[-1])}").status, 200)
        self.assert_status(self.request("GET", f"{NODES}?continue={quote(tokens[0])}"), 410, "Expired")

    def test_resource_versions(self):
        version = self.list()["metadata"]["resourceVersion"]
        for query in ("resourceVersion=0", "resourceVersion=", "resourceVersion=1", f"resourceVersion={version}&resourceVersionMatch=NotOlderThan",
                      f"resourceVersion={version}&resourceVersionMatch=Exact"):
            self.assertEqual(len(self.names(f"?{query}")), 30, query)
        for path in (NODES, f"{NODES}/n00"):
            status = self.assert_status(self.request("GET", f"{path}?resourceVersion={int(version) + 1000}"), 504, "Timeout")
            self.assertEqual(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge")
            self.assert_status(self.request("GET", f"{path}?resourceVersion=abc"), 400, "BadRequest")
        self.assert_status(self.request("GET", f"{NODES}?resourceVersion=1&resourceVersionMatch=Exact"), 410, "Expired")
        self.assert_status(self.request("GET", f"{NODES}?resourceVersion=0&resourceVersionMatch=Exact"), 400, "BadRequest")
        self.assert_status(self.request("GET", f"{NODES}?resourceVersion=1&resourceVersionMatch=Roughly"), 400, "BadRequest")

    def test_table(self):
        table = self.list("?limit=2", TABLE)
        self.assertEqual((table["kind"], table["apiVersion"]), ("Table", "meta.k8s.io/v1"))
        columns = [column["name"] for column in table["columnDefinitions"]]
        self.assertEqual((columns[0], columns[-1]), ("Name", "Age"))
        for column in table["columnDefinitions"]:
            self.assertEqual(set(column), {"name", "type", "format", "description", "priority"})
        self.assertTrue(table["metadata"]["continue"] and table["metadata"]["resourceVersion"])
        self.assertEqual([row["cells"][0] for row in table["rows"]], ["n00", "n01"])
        for row in table["rows"]:
            self.assertEqual(len(row["cells"]), len(columns))
            self.assertRegex(row["cells"][-1], r"^\d+[smhdy]")
            self.assertEqual(row["object"]["kind"], "PartialObjectMetadata")
            self.assertIn("rack", row["object"]["metadata"]["labels"])
            self.assertNotIn("spec", row["object"])
        self.assertIn("10.0.0.1/24", table["rows"][0]["cells"])
        whole = self.list("?limit=1&includeObject=Object", TABLE)["rows"][0]["object"]
        self.assertEqual(whole, self.request("GET", f"{NODES}/n00").json())
        self.assertNotIn("object", self.list("?limit=1&includeObject=None", TABLE)["rows"][0])
        self.assert_status(self.request("GET", f"{NODES}?includeObject=Some", None, TABLE), 400)
        one = self.request("GET", f"{NODES}/n07", None, TABLE).json()
        self.assertEqual((one["kind"], [row["cells"][0] for row in one["rows"]]), ("Table", ["n07"]))
        self.assert_status(self.request("GET", f"{NODES}/none", None, TABLE), 404)


if __name__ == "__main__":
    unittest.main()
