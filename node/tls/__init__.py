"""TLS of a worker: who connects to it, and whom it connects to.

contexts    what TLS is to be, out of the settings and the files they name
keeper      the contexts in use, and their replacement when settings or files change
doorway     those who connect to `tls-port`, until they have shaken hands
transport   one connection: between the socket's transport and a protocol that knows nothing of TLS
connecting  opening a connection, by TLS or plain
problems    what went wrong, in a few words
"""
