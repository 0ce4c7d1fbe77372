"""The status page: the cluster as this proxy's browser sees it, at `--metrics-port` beside /metrics.

    pages.py      what is served: the page's files, and its figures as JSON
    gatherer.py   asks the workers, at most once a second, and only while somebody looks
    worker_lines.py  the connections it asks by
    slot_heat.py  what each slot is used for, from parts that are asked for in turns
    chronicle.py  failovers, moves, failures: noted always, since they happen when nobody looks
    report.py     all that as JSON
    assets/       HTML, style and scripts, which need nothing from elsewhere

Nothing here changes anything, and no secret comes by here. This package is loaded only by a proxy that has
such a port; what it takes grows with the cluster, not with those who look.
"""
