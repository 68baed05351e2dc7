"""What the tests with real daemons are made of: namespaces, hosts, links, daemons, the service and its agents."""
