"""`shoal up`: a whole cluster on one machine, from one command.

A convenience, never a dependency: workers and proxies are separate processes that do not know they are
watched.

    programs.py    how the processes are called
    calls.py       with which arguments
    authority.py   certificates for `--tls`
    settings.py    what was asked for, joined with what the directory remembers
    workspace.py   the directory: its lock, its memory, cleaning up
    preflight.py   what can be found wrong before anything is started
    logs.py        the children's output as readable lines
    child.py       one process: spawn, restart with growing pauses, stop
    supervisor.py  all of them together: start, form or resume, watch, stop
    succession.py  when a primary dies: a replica takes over before it comes back
    caretaker.py   workers that are new, lost, missing, or have left
    endpoints.py   the table of who listens where and serves what
"""
