"""History over HTTP: who changed what, when and why, in bounded pages, over a restart, and to whom it is told."""
import contextlib
import sqlite3
import time
import unittest
import urllib.parse

from service import Service
from wire import GROUP

OURS = "/apis/bgppeerd.io/v1"
SECRETS = "/api/v1/namespaces/default/secrets"
ROWS = 2000  # that one page looks at
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


def filter_of(name):
    return {"apiVersion": "projectcalico.org/v3", "kind": "BGPFilter", "metadata": {"name": name}, "spec": {}}


class ChangesTest(unittest.TestCase):
    def must(self, service, method, path, body=None, headers=None, status=(200, 201)):
        answer = service.request(method, path, body, headers)
        self.assertIn(answer.status, status, answer.body)
        return answer

    def pages(self, service, query=""):
        found, token = [], ""
        while token is not None:
            page = self.must(service, "GET", f"{OURS}/changes?{query}&continue={token}").json()
            found.append(page["items"])
            token = page["metadata"].get("continue")
        return found

    def changes(self, service, query=""):
        return [item for page in self.pages(service, query) for item in page]

    def objects(self, service, query=""):
        return [(o["op"], o["kind"], o["name"]) for item in self.changes(service, query) for o in item["objects"]]

    def test_what_who_and_why(self):
        with Service(auth=True) as service:
            first = self.must(service, "POST", f"{GROUP}/bgpfilters", filter_of("a"), {"Bgppeerd-Reason": "ticket 7", "X-Request-Id": "one"}).json()
            self.must(service, "POST", f"{OURS}/applies", {"apiVersion": OURS[6:], "kind": "ChangeSet", "spec": {"reason": "a pair", "changes": [
                {"op": "create", "object": filter_of("b")}, {"op": "create", "object": filter_of("c")}]}}, {"Bgppeerd-Reason": "not this"})
            self.must(service, "POST", f"{OURS}/applies", [filter_of("d")], {"Bgppeerd-Reason": "header"})
            self.must(service, "POST", SECRETS, {"metadata": {"name": "bgp"}, "stringData": {"tor": "correct-horse"}})
            self.must(service, "DELETE", f"{GROUP}/bgpfilters/a", headers={"Bgppeerd-Reason": "gone"})
            for bad in ("x" * 513, "caf\xe9"):
                self.must(service, "POST", f"{GROUP}/bgpfilters", filter_of("e"), {"Bgppeerd-Reason": bad}, (400,))

            items = self.changes(service)
            self.assertEqual([item.get("reason") for item in items], ["gone", None, "header", "a pair", "ticket 7"])
            self.assertEqual([[o["name"] for o in item["objects"]] for item in items], [["a"], ["default/bgp"], ["d"], ["c", "b"], ["a"]])
            oldest = items[-1]
            self.assertEqual((oldest["request"], oldest["txn"], oldest["resourceVersion"]),
                             ("one", first["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]))
            audited = self.must(service, "GET", f"{OURS}/audit?event=write&name=c").json()["items"]
            self.assertEqual({item["actor"] for item in items}, {audited[0]["user"]})
            self.assertNotIn(b"correct-horse", service.request("GET", f"{OURS}/changes").body)
            self.assertEqual(self.objects(service, "kind=BGPFilter&name=a"), [("delete", "BGPFilter", "a"), ("create", "BGPFilter", "a")])
            # The reason of what is only partly asked for stands with another object of it.
            self.assertEqual([item["reason"] for item in self.changes(service, "name=c")], ["a pair"])
            self.assertEqual([item["reason"] for item in self.changes(service, "kind=BGPFilter&name=c")], ["a pair"])
            self.assertEqual(self.objects(service, "kind=Secret"), [("create", "Secret", "default/bgp")])
            actor = urllib.parse.quote(audited[0]["user"])
            self.assertEqual(self.changes(service, f"actor={actor}"), items)
            self.assertEqual(self.changes(service, f"actor={actor}x"), [])
            self.must(service, "GET", f"{OURS}/changes?kind=Pod", status=(400,))

            pair = items[3]
            self.assertEqual(self.changes(service, f"since={pair['txn']}"), items[:4])
            self.assertEqual(self.changes(service, f"until={pair['txn']}"), items[4:])
            self.assertEqual(self.changes(service, "since=2020-01-01T00:00:00Z"), items)
            self.assertEqual(self.changes(service, "until=2020-01-01T00:00:00Z"), [])
            self.must(service, "GET", f"{OURS}/changes?since=yesterday", status=(400,))

            table = self.must(service, "GET", f"{OURS}/changes", headers=TABLE).json()
            self.assertEqual(table["kind"], "Table")
            self.assertEqual([row["cells"][3] for row in table["rows"]], [
                "delete BGPFilter/a", "create Secret/default/bgp", "create BGPFilter/d", "create BGPFilter/c and 1 more", "create BGPFilter/a"])
            self.assertEqual({len(row["cells"]) for row in table["rows"]}, {len(table["columnDefinitions"])})
            resources = self.must(service, "GET", OURS).json()["resources"]
            self.assertIn(("changes", "Change", ["list", "get"]), [(r["name"], r["kind"], r["verbs"]) for r in resources])

            for role, status in (("admin", 200), ("operator", 200), ("viewer", 403)):
                token = self.must(service, "POST", f"{OURS}/tokens", {"spec": {"role": role}}).json()["status"]["token"]
                self.must(service, "GET", f"{OURS}/changes", None, {"Authorization": f"Bearer {token}"}, (status,))
            self.must(service, "GET", f"{OURS}/changes", None, {"Authorization": None}, (401,))

            service.stop()
            service.start()
            self.assertEqual(self.changes(service), items)

    def test_pages_are_bounded(self):
        with Service() as service:
            self.must(service, "POST", f"{GROUP}/bgpfilters", filter_of("oldest"))
            for part in range(5):
                self.must(service, "POST", f"{OURS}/applies", [filter_of(f"f{part}-{i:03d}") for i in range(900)])
            total = 5 * 900 + 1

            everything = self.pages(service, "limit=1000")
            seen = [o["revision"] for page in everything for item in page for o in item["objects"]]
            self.assertEqual(len(seen), total)
            self.assertEqual(seen, sorted(set(seen), key=int, reverse=True))
            rows = [sum(len(item["objects"]) for item in page) for page in everything]
            self.assertEqual(rows, [ROWS, ROWS, total - 2 * ROWS])
            self.assertEqual([len(item["objects"]) for page in self.pages(service, "limit=1") for item in page], [900] * 5 + [1])

            # One that is far behind: the pages before it are empty, and go on.
            self.assertEqual([len(page) for page in self.pages(service, "name=oldest")], [0, 0, 1])
            self.assertEqual([len(page) for page in self.pages(service, "kind=Node")], [0, 0, 0])
            # By kind and name there is an index: at once.
            self.assertEqual([len(page) for page in self.pages(service, "kind=BGPFilter&name=oldest")], [1])

    def test_more_than_a_thousand_changes(self):
        with Service() as service:
            revisions = []
            for i in range(1050):
                answer = self.must(service, "POST", f"{GROUP}/bgpfilters", filter_of(f"f{i}"))
                revisions.append(answer.json()["metadata"]["resourceVersion"])
            pages = self.pages(service)
            self.assertEqual([len(page) for page in pages], [100] * 10 + [50])
            self.assertEqual([item["txn"] for page in pages for item in page], revisions[::-1])

    def test_beyond_the_horizon(self):
        with Service() as service:
            for name in ("a", "b", "c", "d"):
                self.must(service, "POST", f"{GROUP}/bgpfilters", filter_of(name))
            items = self.changes(service)
            service.stop()
            # As compaction leaves it, without waiting for days.
            with contextlib.closing(sqlite3.connect(f"{service.data}/bgppeerd.db")) as database:
                past = int(items[2]["txn"])
                at = database.execute("SELECT time_ms FROM change WHERE revision = ?", (past,)).fetchone()[0]
                database.execute("UPDATE meta SET past = ?, past_ms = ?, compacted = ?, change_rows = 2", (past, at, past))
                database.commit()
            service.start()
            self.assertEqual(self.changes(service), items[:2])
            day = time.strftime("%Y-%m-%d", time.gmtime(at / 1000))
            for query in (f"since={past}", "since=2020-01-01T00:00:00Z", f"until={past}", f"continue={past}"):
                with self.subTest(query):
                    text = self.must(service, "GET", f"{OURS}/changes?{query}", status=(410,)).json()["message"]
                    self.assertIn(f"{past}", text)
                    self.assertIn(day, text)
            self.assertEqual(self.changes(service, f"since={past + 1}"), items[:2])


if __name__ == "__main__":
    unittest.main()
