"""What the kernel of a host says, whatever its daemon claims: routes, connections, keys, counters."""
import json
import re


def routes(host, family=4):
    """{prefix: (gateways, protocol)} of the main table; a route without gateway has none in the set."""
    found = {}
    for route in json.loads(host.run("ip", "-j", f"-{family}", "route", "show", "table", "main") or "[]"):
        hops = route.get("nexthops", [route])
        gateways = {hop["gateway"] if "gateway" in hop else hop.get("via", {}).get("host") for hop in hops} - {None}
        prefix = route["dst"]
        if prefix == "default":
            prefix = "0.0.0.0/0" if family == 4 else "::/0"
        elif "/" not in prefix:
            prefix += "/32" if family == 4 else "/128"
        found[prefix] = (gateways, route.get("protocol", ""))
    return found


def connections(host, ports=(179,)):
    """{peer address: identity} of the established BGP connections, whichever end opened them.

    The identity is the pairs of ports, own first: others after the session has restarted, and the same while it
    goes on, in every daemon."""
    found = {}
    for line in host.run("ss", "-Htn", "state", "established").splitlines():
        local, remote = line.split()[2:4]
        (_, own_port), (address, port) = _split(local), _split(remote)
        if own_port in ports or port in ports:
            found.setdefault(address, set()).add((own_port, port))
    return {address: frozenset(pairs) for address, pairs in found.items()}


def listening(host):
    """{(address, port)} of the listening sockets."""
    return {_split(line.split()[3]) for line in host.run("ss", "-Htln").splitlines()}


def _split(text):
    address, _, port = text.rpartition(":")
    address = address.partition("%")[0].strip("[]")
    return re.sub(r"^::ffff:(?=\d+\.)", "", address), int(port)


def signed(host):
    """The peers for which sockets have a TCP MD5 key: (of listening ones, of established ones)."""
    found = {"LISTEN": set(), "ESTAB": set()}
    # This version of ss prints the keys themselves in front of everything, so that a line may begin with some.
    for state, peers in re.findall(r"(LISTEN|ESTAB) [^\n]*\n[^\n]*md5keys:(\S+)", host.run("ss", "-Htani")):
        for peer in peers.split(","):
            address = peer.partition("=")[0].partition("/")[0]
            found[state].add(re.sub(r"^::ffff:(?=\d+\.)", "", address))
    return found["LISTEN"], found["ESTAB"]


def counters(host):
    """The kernel's network counters since the host exists."""
    return {name: int(value) for name, value in
            (line.split()[:2] for line in host.run("nstat", "-asz").splitlines() if not line.startswith("#"))}
