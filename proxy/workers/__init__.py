"""The cluster behind the proxy: who serves what, the connections to it, and what its errors mean.

topology        the slot map, kept fresh
upstreams       the shared connections; `service` is all that serves one login
dialogue        short conversations outside of the hot path: a login, a protocol, one question
failover        how long requests wait for a worker that cannot serve
redirection     MOVED and ASK
replica_reads, replica_links
                reads from replicas
worker_sockets  unix sockets instead of TCP on the same machine
"""
