"""`shoal up`: a whole cluster on one machine, from one command.

A convenience, never a dependency: workers and proxies are separate processes that do not know they are
watched.

    programs.py    how the processes are called
    settings.py    what was asked for, and what the directory remembers
    preflight.py   everything that can be found wrong before anything is started
    child.py       one process: spawn, log lines, backoff, stop
    supervisor.py  all of them together: start, form, watch, stop
    forming.py     joining fresh workers to a cluster, awaiting one that resumes
"""
