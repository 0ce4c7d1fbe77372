"""The command `shoal`: one file per subcommand, and what they share.

    main.py        sorts out `shoal node` and `shoal proxy` before anything heavy is imported; exit codes
    app.py         the list of subcommands
    common.py      arguments and options that many subcommands have
    gathered.py    how options that several have reach them as one value:
    connecting.py    those that say how to get in
    how_to_move.py   those that say how slots are moved
    output.py      tables, JSON, the two consoles
    moving.py      showing, confirming and watching moves of slots
    loads.py       showing how a load is spread over the nodes
    walking.py     going through all keys

Each file of a subcommand opens with what its --json prints, which its --help shows, too.

Exit codes: 0 all is well, 1 the cluster has a problem, 2 the call or its surroundings have, 130 interrupted,
paused, cancelled or declined.
"""
