"""What an operator does to a cluster, over the same port as every client.

Used by the command line and by the supervisor, never by a worker. All of it speaks plain Redis commands, so
it works on any cluster that does: shoal, Redis, Valkey, or a mix.

    link.py         one connection to one node, with errors that name the node
    server_info.py  the fields of INFO
    survey.py       asking every member for its view of the cluster
    forming.py      carrying out a create plan
    repair.py       carrying out a fix plan
"""
