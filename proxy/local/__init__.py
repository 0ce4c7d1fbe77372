"""What the proxy answers by itself, or knows only about itself.

local_commands, settings, info, slow_requests, spans, metrics
                about connections, and about the proxy; `own` is the proxy as one server among the others
catalogue       COMMAND
pause           CLIENT PAUSE
hot_keys        HOTKEYS of all workers
facade          the proxy poses as a cluster
rules, limit_options
                what clients may do and have
"""
