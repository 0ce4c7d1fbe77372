"""The compiled forwarder: from a client's bytes to a worker's connection and back, without a Python object.

Read it in this order; each .pxd is the contents page of its .pyx.

    frames      where a request or a reply ends, in place
    sinks       who takes replies: clients, and whoever else has asked
    buffers     the bytes that wait in either direction
    connection  turns, and the system calls; `secrecy` is TLS between it and a socket
    upstream    one connection to a worker, which many clients share
    listener    one on which the proxy listens
    routes      from a command and a slot to an upstream connection
    client      one client's connection: what goes which way, and replies in order
    limits      what one client may have at once
    tallies     what is counted of every request
    hot_reads   reads of hot keys that clients share
"""
