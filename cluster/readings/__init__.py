"""What members tell of themselves, as values: replies read, and readings compared. Pure, so that whoever asks
(cluster/operations over links of its own, the proxy's status page over the proxy's) makes the same of it.

    info.py           the fields of INFO
    nodes_text.py     CLUSTER NODES
    slot_jobs.py      CLUSTER GETSLOTMIGRATIONS
    command_times.py  LATENCY HISTOGRAM
    activity.py       all of that of all members, at two moments
"""
