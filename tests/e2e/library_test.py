"""What the library does without namespaces: reading answers, waiting, saying why a machine cannot run the others."""
import unittest

from lib import kernel, sandbox, wait
from lib.daemons import Bird, Gobgp, Route


class AnswersTest(unittest.TestCase):
    def test_bird_answers_of_several_lines(self):
        lines = ["1007-Table master4:\n", "+news in between\n", " 192.0.2.0/24 unicast\n", " \tvia 198.51.100.1 on eth0\n", "0000 \n", "never\n"]
        self.assertEqual(Bird._answer(iter(lines)),
                         [(1007, "Table master4:"), (1007, "192.0.2.0/24 unicast"), (1007, "\tvia 198.51.100.1 on eth0")])
        with self.assertRaises(OSError):
            Bird._answer(iter(["1007-cut\n"]))

    def test_bird_attributes(self):
        route = Route("")
        for text in ("BGP.as_path: 64496 65536", "BGP.next_hop: 192.0.2.1 fe80::1", "BGP.community: (64496,7) (64496,8)",
                     "BGP.large_community: (64496, 1, 2)", "BGP.local_pref: 100", "via 192.0.2.9 on eth0", "BGP.cluster_list: 192.0.2.8"):
            Bird._note_route(route, text)
        self.assertEqual(route, Route("192.0.2.1", (64496, 65536), frozenset({"64496:7", "64496:8", "64496:1:2"}), 100,
                                      other={"via": "192.0.2.9", "cluster_list": "192.0.2.8"}))

    def test_gobgp_attributes(self):
        route = Route("")
        for attribute in ({"type": 2, "as_paths": [{"asns": [64496, 65536]}]}, {"type": 3, "nexthop": "192.0.2.1"},
                          {"type": 8, "communities": [64496 << 16 | 7]},
                          {"type": 32, "value": [{"ASN": 64496, "LocalData1": 1, "LocalData2": 2}]}):
            Gobgp._note(route, attribute)
        self.assertEqual(route, Route("192.0.2.1", (64496, 65536), frozenset({"64496:7", "64496:1:2"})))

    def test_addresses_of_sockets(self):
        self.assertEqual(kernel._split("[2001:db8::1]:179"), ("2001:db8::1", 179))
        self.assertEqual(kernel._split("[::ffff:192.0.2.1]:40000"), ("192.0.2.1", 40000))
        self.assertEqual(kernel._split("[fe80::1]%eth0:179"), ("fe80::1", 179))


class WaitTest(unittest.TestCase):
    def test_a_condition_is_asked_until_it_holds(self):
        asked = []

        def third():
            asked.append(1)
            if len(asked) == 1:
                raise OSError("not yet")
            return len(asked) if len(asked) > 2 else None
        self.assertEqual(wait.until(third, "the third time", every=0), 3)

    def test_what_was_waited_for_is_said(self):
        with self.assertRaisesRegex(AssertionError, r"still not: rain \(OSError\('dry'\)\)"):
            def dry():
                raise OSError("dry")
            wait.until(dry, lambda: "rain", seconds=0)
        with self.assertRaisesRegex(AssertionError, "did not stay so: sun"):
            wait.stays(lambda: False, "sun")

    def test_other_errors_end_the_waiting(self):
        with self.assertRaises(ZeroDivisionError):
            wait.until(lambda: 1 / 0, "nothing")


class SandboxTest(unittest.TestCase):
    def test_what_is_missing_is_named(self):
        programs = sandbox.PROGRAMS
        self.addCleanup(setattr, sandbox, "PROGRAMS", programs)
        sandbox.PROGRAMS = (*programs, "no-such-program")
        self.assertRegex(sandbox.reason_against(), r"^(.*, )?no-such-program missing: make deps-e2e$")


if __name__ == "__main__":
    unittest.main()
