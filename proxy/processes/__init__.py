"""The proxy as processes: the sockets on which clients come, several processes behind them, and their end.

listening       the sockets
keeper          starts, watches and replaces processes; `place` is what each gets from it
directory       where they find each other
siblings        asks the others what concerns the clients of all
handover        a client moves to the process that follows, `subscribers` with what they listen to
draining        ends without losing a request
trimming        clients that are idle cost next to nothing
"""
