"""Clients of many languages, and what is built on them, against a worker, a cluster and a proxy.

Each program under `programs/` is what a user of that library would write. It is called with

    MODE HOST PORT PREFIX PROTOCOL

where MODE is worker, cluster or proxy, PREFIX begins all its keys, and PROTOCOL is 2 or 3. It recites: one
line for each thing it tried, `name=value`. `matrix.py` has a row for each with what must be said. The
libraries come from Debian (.ci/run installs them), from npm (`programs/node/package.json`) and from PyPI
(`requirements.txt`), so this is not among the default paths: `pytest tests/clients` runs it, as .ci/run does.
"""
