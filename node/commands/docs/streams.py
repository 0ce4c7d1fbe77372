"""Streams: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
xack: Marks entries as dealt with by a group.
    time      O(1)
    syntax    key group id ...
xackdel: Marks entries as dealt with by a group, and removes them.
    time      O(1)
    syntax    key group [condition=(KEEPREF | DELREF | ACKED)] IDS ids=(numids id ...)
xadd: Adds an entry to a stream, which is made if absent.
    time      O(1)
    syntax    key [NOMKSTREAM]@6.2.0 [condition=(KEEPREF | DELREF | ACKED)] [trim=(strategy=(MAXLEN |
              MINID@6.2.0) [operator=(equal== | approximately=~)] threshold [LIMIT count]@6.2.0)]
              id-selector=(auto-id=* | id) data=(field value) ...
    6.2.0     NOMKSTREAM, MINID and LIMIT.
    7.0.0     Ids of the form ms-*.
    8.2.0     KEEPREF, DELREF and ACKED.
xautoclaim: Takes over entries that other consumers have left lying.
    time      O(1)
    syntax    key group consumer min-idle-time start:string [COUNT count] [JUSTID]
    7.0.0     Shows the entries that are no more.
xclaim: Takes over the named entries from other consumers.
    time      O(log N)
    syntax    key group consumer min-idle-time id ... [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT
              count] [FORCE] [JUSTID] [LASTID lastid]
xdel: Removes entries.
    time      O(1)
    syntax    key id ...
xdelex: Removes entries, with a say in what groups keep of them.
    time      O(1)
    syntax    key [condition=(KEEPREF | DELREF | ACKED)] IDS ids=(numids id ...)
xgroup: Groups the commands about consumer groups.
    time      Depends on the subcommand.
xgroup create: Makes a group.
    time      O(1)
    syntax    key group id-selector=(id | new-id=$) [MKSTREAM] [ENTRIESREAD entriesread/entries-read]
    7.0.0     ENTRIESREAD.
xgroup createconsumer: Makes a consumer of a group.
    time      O(1)
    syntax    key group consumer
xgroup delconsumer: Removes a consumer with what it had pending.
    time      O(1)
    syntax    key group consumer
xgroup destroy: Removes a group.
    time      O(N)
    syntax    key group
xgroup help: Explains the subcommands of XGROUP.
    time      O(1)
xgroup setid: Sets the entry after which a group goes on.
    time      O(1)
    syntax    key group id-selector=(id | new-id=$) [ENTRIESREAD entriesread/entries-read]
    7.0.0     ENTRIESREAD.
xinfo: Groups the commands that describe streams.
    time      Depends on the subcommand.
xinfo consumers: Describes the consumers of a group.
    time      O(1)
    syntax    key group
    7.2.0     Field inactive; idle has a new sense.
xinfo groups: Describes the groups of a stream.
    time      O(1)
    syntax    key
    7.0.0     Fields entries-read, lag.
xinfo help: Explains the subcommands of XINFO.
    time      O(1)
xinfo stream: Describes a stream.
    time      O(1)
    syntax    key [full-block=(FULL, [COUNT count])]
    6.0.0     FULL.
    7.0.0     Fields max-deleted-entry-id, entries-added, recorded-first-entry-id, entries-read, lag.
    7.2.0     Field active-time; seen-time has a new sense.
xlen: Counts the entries.
    time      O(1)
    syntax    key
xpending: Shows what a group was handed but has not dealt with.
    time      O(N)
    syntax    key group [filters=([IDLE min-idle-time:integer]@6.2.0 start:string end:string count
              [consumer])]
    6.2.0     IDLE; open ranges.
xrange: Returns the entries between two ids.
    time      O(N)
    syntax    key start:string end:string [COUNT count]
    6.2.0     Open ranges.
xread: Returns entries newer than given ids, and may wait for them.
    syntax    [COUNT count] [BLOCK milliseconds] STREAMS streams=(key ... id ...)
xreadgroup: Returns entries to a consumer of a group, and may wait for them.
    time      O(M)
    syntax    GROUP group-block=(group consumer) [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS
              streams=(key ... id ...)
xrevrange: Returns the entries between two ids, newest first.
    time      O(N)
    syntax    key end:string start:string [COUNT count]
    6.2.0     Open ranges.
xsetid: Sets a stream's last id, for replication.
    time      O(1)
    syntax    key last-id [ENTRIESADDED entries-added]@7.0.0 [MAXDELETEDID max-deleted-id]@7.0.0
    7.0.0     ENTRIESADDED and MAXDELETEDID.
xtrim: Removes the oldest entries.
    time      O(N)
    syntax    key trim=(strategy=(MAXLEN | MINID@6.2.0) [operator=(equal== | approximately=~)] threshold
              [LIMIT count]@6.2.0 [condition=(KEEPREF | DELREF | ACKED)])
    6.2.0     MINID and LIMIT.
    8.2.0     KEEPREF, DELREF and ACKED.
"""
