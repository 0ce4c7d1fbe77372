"""Connection: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
auth: Logs the connection in.
    time      O(N)
    syntax    [username]@6.0.0 password
    6.0.0     User names.
client: Groups the commands about client connections.
    time      Depends on the subcommand.
client caching: Has the keys of the next command tracked, or not.
    time      O(1)
    syntax    mode=(YES | NO)
client capa: Says what the client can handle beyond the ordinary.
    time      O(1)
    syntax    capability ...
client getname: Shows the connection's name.
    time      O(1)
client getredir: Shows which client gets this one's invalidations.
    time      O(1)
client help: Explains the subcommands of CLIENT.
    time      O(1)
client id: Shows the connection's number.
    time      O(1)
client import-source: Marks the connection as the source of imported data.
    time      O(1)
    syntax    enabled=(ON | OFF)
client info: Describes this connection.
    time      O(1)
client kill: Closes connections that match.
    time      O(N)
    syntax    filter=(old-format/ip:port~2.8.12 | new-format=([ID client-id ...]@2.8.12 | [TYPE
              client-type=(NORMAL | MASTER@3.2.0 | PRIMARY@8.0.0 | SLAVE | REPLICA@5.0.0 | PUBSUB)]@2.8.12 |
              [USER username] | [ADDR addr/ip:port] | [LADDR laddr/ip:port]@6.2.0 | [SKIPME skipme=(YES | NO)]
              | [MAXAGE maxage]@8.0.0 | [NAME name]@9.0.0 | [IDLE idle:integer]@9.0.0 | [FLAGS flags]@9.0.0 |
              [LIB-NAME lib-name]@9.0.0 | [LIB-VER lib-ver]@9.0.0 | [DB db]@9.0.0 | [CAPA capa]@9.0.0 | [IP
              ip]@9.0.0 | [NOT-TYPE not-client-type=(NORMAL | MASTER | PRIMARY | SLAVE | REPLICA |
              PUBSUB)]@9.0.0 | [NOT-ID not-client-id:integer ...]@9.0.0 | [NOT-USER not-username]@9.0.0 |
              [NOT-ADDR not-addr/ip:port]@9.0.0 | [NOT-LADDR not-laddr/ip:port]@9.0.0 | [NOT-NAME
              not-name]@9.0.0 | [NOT-FLAGS not-flags]@9.0.0 | [NOT-LIB-NAME not-lib-name]@9.0.0 | [NOT-LIB-VER
              not-lib-ver]@9.0.0 | [NOT-DB not-db:integer]@9.0.0 | [NOT-CAPA not-capa]@9.0.0 | [NOT-IP
              not-ip]@9.0.0) ...)
    2.8.12    Filters, of which ID is the first.
    3.2.0     TYPE master.
    5.0.0     TYPE replica.
    6.2.0     LADDR.
    8.0.0     MAXAGE; TYPE primary.
    8.1.0     ID takes several.
    9.0.0     NAME, IDLE, FLAGS, LIB-NAME, LIB-VER, DB, CAPA and IP, and filters with NOT-.
client list: Describes all connections, or those that match.
    time      O(N)
    syntax    [TYPE client-type=(NORMAL | MASTER | REPLICA | PUBSUB)]@5.0.0 [ID client-id ...]@6.2.0 [USER
              username]@8.1.0 [ADDR addr/ip:port]@8.1.0 [LADDR laddr/ip:port]@8.1.0 [SKIPME skipme=(YES |
              NO)]@8.1.0 [MAXAGE maxage]@8.1.0 [NAME name]@9.0.0 [IDLE idle:integer]@9.0.0 [FLAGS flags]@9.0.0
              [LIB-NAME lib-name]@9.0.0 [LIB-VER lib-ver]@9.0.0 [DB db]@9.0.0 [CAPA capa]@9.0.0 [IP ip]@9.0.0
              [NOT-TYPE not-client-type=(NORMAL | MASTER | REPLICA | PUBSUB)]@9.0.0 [NOT-ID
              not-client-id:integer ...]@9.0.0 [NOT-USER not-username]@9.0.0 [NOT-ADDR not-addr/ip:port]@9.0.0
              [NOT-LADDR not-laddr/ip:port]@9.0.0 [NOT-NAME not-name]@9.0.0 [NOT-FLAGS not-flags]@9.0.0
              [NOT-LIB-NAME not-lib-name]@9.0.0 [NOT-LIB-VER not-lib-ver]@9.0.0 [NOT-DB not-db:integer]@9.0.0
              [NOT-CAPA not-capa]@9.0.0 [NOT-IP not-ip]@9.0.0
    2.8.12    Field id.
    5.0.0     TYPE.
    6.0.0     Field user.
    6.2.0     ID; fields argv-mem, tot-mem, laddr, redir.
    7.0.0     Fields resp, multi-mem, rbs, rbp.
    7.0.3     Field ssub.
    8.0.0     TYPE primary.
    8.1.0     USER, ADDR, LADDR, SKIPME and MAXAGE.
    9.0.0     NAME, IDLE, FLAGS, LIB-NAME, LIB-VER, DB, CAPA and IP, and filters with NOT-.
client no-evict: Spares the connection when memory of clients runs short.
    time      O(1)
    syntax    enabled=(ON | OFF)
client no-touch: Lets reads of this connection leave the access times of keys alone.
    time      O(1)
    syntax    enabled=(ON | OFF)
client pause: Holds back commands of clients for a while.
    time      O(1)
    syntax    timeout:integer [mode=(WRITE | ALL)]@6.2.0
    6.2.0     WRITE and ALL.
client reply: Turns replies off, on, or off for one command.
    time      O(1)
    syntax    action=(ON | OFF | SKIP)
client setinfo: Notes the client library's name or version.
    time      O(1)
    syntax    attr=(LIB-NAME libname | LIB-VER libver)
client setname: Names the connection.
    time      O(1)
    syntax    connection-name
client tracking: Turns invalidation messages for the client's own cache on or off.
    time      O(1)
    syntax    status=(ON | OFF) [REDIRECT client-id] [PREFIX prefix ,...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]
client trackinginfo: Shows how the connection's keys are tracked.
    time      O(1)
client unblock: Ends another client's blocking command.
    time      O(log N)
    syntax    client-id [unblock-type=(TIMEOUT | ERROR)]
client unpause: Ends a pause of clients.
    time      O(N)
echo: Returns its argument.
    time      O(1)
    syntax    message
hello: Agrees on the protocol version, and may log in.
    time      O(1)
    syntax    [arguments=(protover [AUTH auth=(username password)] [SETNAME clientname])]
    6.2.0     Without a version: describes the connection.
ping: Answers, to show that the server does.
    time      O(1)
    syntax    [message]
quit: Closes the connection.
    time      O(1)
    replaced  7.2.0 by closing the connection
reset: Puts the connection back to how it began.
    time      O(1)
select: Chooses the database.
    time      O(1)
    syntax    index
"""
