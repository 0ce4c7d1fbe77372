"""What the directives do that only shoal has: for readers and the reference page (deploy/reference.py)."""

from __future__ import annotations

OWN = {
    "storage-engine": "`disk`: the dataset may exceed memory",
    "storage-dir": "the directory of the disk engine, in `dir`",
    "synchronous-replicas": "replies to writes leave when so many replicas have them",
    "synchronous-replicas-wait": "ms for which writes wait while replicas are too few; then they fail",
    "cluster-witness-limit": "ms for which a silent node is taken to be busy, if it is seen at work",
    "cluster-outside-port": "one more port, for clients that reach members by other addresses",
    "cluster-outside-tls-port": "the same, for TLS",
    "cluster-announce-outside": "where these find this worker: `host:port[:tls-port]`",
    "cluster-secret": "what members prove to each other that they know",
    "cluster-secret-file": "or the file where it stands",
    "cluster-secret-required": "refuse members that do not know it",
    "cluster-seeds": "addresses of workers to form or join a cluster with",
    "cluster-expected-size": "of so many members a cluster forms by itself",
    "cluster-expected-replicas": "and with so many replicas for each primary",
    "slot-migration-max-bandwidth": "bytes a second of all slots that leave; 0: no limit",
    "slot-migration-max-staging-bytes": "bytes of all slots that arrive, until they are owned; 0: no limit",
    "metrics-port": "where Prometheus finds this worker's figures",
    "metrics-bind": "at which addresses",
    "metrics-slots": "how many of the most used slots are told one by one",
    "log-format": "`json` is only ours",
}
