"""Server: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
acl: Groups the commands about users and their permissions.
    time      Depends on the subcommand.
acl cat: Names the permission categories, or the commands in one of them.
    time      O(1)
    syntax    [category]
acl deluser: Removes users and closes their connections.
    time      O(1)
    syntax    username ...
acl dryrun: Tells whether a user might run a command, without running it.
    time      O(1)
    syntax    username command [arg ...]
acl genpass: Makes a random password, in hexadecimal digits.
    time      O(1)
    syntax    [bits]
acl getuser: Describes the rules of one user.
    time      O(N)
    syntax    username
    6.2.0     Shows channel patterns.
    7.0.0     Shows selectors; patterns as rules.
acl help: Explains the subcommands of ACL.
    time      O(1)
acl list: Shows every user as a line of the ACL file.
    time      O(N)
acl load: Reads all users anew from the ACL file.
    time      O(N)
acl log: Shows recent refusals, or forgets them.
    time      O(N)
    syntax    [operation=(count | RESET)]
    7.2.0     Entries have an id and times.
acl save: Writes all users to the ACL file.
    time      O(N)
acl setuser: Makes a user, or changes its rules.
    time      O(N)
    syntax    username [rule ...]
    6.2.0     Channel patterns.
    7.0.0     Selectors; permissions per key.
acl users: Names all users.
    time      O(N)
acl whoami: Names the user of this connection.
    time      O(1)
bgrewriteaof: Rewrites the append-only file in the background.
    time      O(1)
bgsave: Writes a snapshot to disk in the background.
    time      O(1)
    syntax    [operation=(SCHEDULE@3.2.2 | CANCEL@8.1.0)]
    3.2.2     SCHEDULE.
    8.1.0     CANCEL.
command: Describes all commands.
    time      O(N)
command count: Counts the commands.
    time      O(1)
command docs: Documents commands for people.
    time      O(N)
    syntax    [command-name ...]
command getkeys: Finds the keys in a request.
    time      O(N)
    syntax    command [arg ...]
command getkeysandflags: Finds the keys in a request, with what it does to them.
    time      O(N)
    syntax    command [arg ...]
command help: Explains the subcommands of COMMAND.
    time      O(1)
command info: Describes the named commands.
    time      O(N)
    syntax    [command-name ...]
    7.0.0     Without names: all commands.
command list: Names the commands, all or filtered.
    time      O(N)
    syntax    [FILTERBY filterby=(MODULE module-name | ACLCAT category | PATTERN pattern)]
commandlog: Groups the commands about the log of costly commands.
    time      Depends on the subcommand.
commandlog get: Shows entries of one of the logs.
    time      O(N)
    syntax    count type=(SLOW | LARGE-REQUEST | LARGE-REPLY)
commandlog help: Explains the subcommands of COMMANDLOG.
    time      O(1)
commandlog len: Counts the entries of one of the logs.
    time      O(1)
    syntax    type=(SLOW | LARGE-REQUEST | LARGE-REPLY)
commandlog reset: Empties one of the logs.
    time      O(N)
    syntax    type=(SLOW | LARGE-REQUEST | LARGE-REPLY)
config: Groups the commands about settings.
    time      Depends on the subcommand.
config get: Shows the settings that match.
    time      O(N)
    syntax    parameter ...
    7.0.0     Several patterns.
config help: Explains the subcommands of CONFIG.
    time      O(1)
config resetstat: Sets the counters of INFO to zero.
    time      O(1)
config rewrite: Writes the present settings to the configuration file.
    time      O(1)
config set: Changes settings while running.
    time      O(N)
    syntax    data=(parameter value) ...
    7.0.0     Several settings.
dbsize: Counts the keys.
    time      O(1)
debug: Groups the commands for testing the server itself.
    time      Depends on the subcommand.
    internal
failover: Hands the primary's part over to a replica.
    time      O(1)
    syntax    [TO target=(host port [FORCE])] [ABORT] [TIMEOUT milliseconds]
flushall: Removes all keys of all databases.
    time      O(N)
    syntax    [flush-type=(ASYNC@4.0.0 | SYNC@6.2.0)]
    4.0.0     ASYNC.
    6.2.0     SYNC.
flushdb: Removes all keys of the database.
    time      O(N)
    syntax    [flush-type=(ASYNC@4.0.0 | SYNC@6.2.0)]
    4.0.0     ASYNC.
    6.2.0     SYNC.
hotkeys: Groups the commands about the keys that cost most.
    time      Depends on the subcommand.
hotkeys get: Tells what the watch has found.
    time      O(K) where K is the number of keys told.
hotkeys help: Explains the subcommands of HOTKEYS.
    time      O(1)
hotkeys reset: Forgets what was found.
    time      O(1)
hotkeys start: Begins to watch which keys cost most.
    time      O(1)
    syntax    metrics=(METRICS count [CPU] [NET]) [COUNT k] [DURATION seconds] [SAMPLE ratio]
              [slots=(SLOTS count slot ...)]
hotkeys stop: Ends the watch.
    time      O(1)
info: Describes the server: settings, load, counters.
    time      O(1)
    syntax    [section ...]
    7.0.0     Several sections.
lastsave: Tells when the last snapshot was written.
    time      O(1)
latency: Groups the commands about delays.
    time      Depends on the subcommand.
latency doctor: Explains the delays that were seen.
    time      O(1)
latency graph: Draws the delays of an event over time.
    time      O(1)
    syntax    event
latency help: Explains the subcommands of LATENCY.
    time      O(1)
latency histogram: Shows how the durations of commands are spread.
    time      O(N)
    syntax    [command ...]
latency history: Shows the delays of an event over time.
    time      O(1)
    syntax    event
latency latest: Shows the last delay of each event.
    time      O(1)
latency reset: Forgets the delays of events.
    time      O(1)
    syntax    [event ...]
lolwut: Shows a piece of computer art, and the version.
    syntax    [VERSION version]
memory: Groups the commands about memory.
    time      Depends on the subcommand.
memory doctor: Explains what is unusual about the use of memory.
    time      O(1)
memory help: Explains the subcommands of MEMORY.
    time      O(1)
memory malloc-stats: Shows the allocator's own report.
    time      Depends on memory in use.
memory purge: Asks the allocator to give memory back.
    time      Depends on memory in use.
memory stats: Shows what memory is used for.
    time      O(1)
memory usage: Estimates the memory of a key.
    time      O(N)
    syntax    key [SAMPLES count]
module: Groups the commands about modules.
    time      Depends on the subcommand.
module help: Explains the subcommands of MODULE.
    time      O(1)
module list: Describes the loaded modules.
    time      O(N)
module load: Loads a module.
    time      O(1)
    syntax    path [arg ...]
module loadex: Loads a module with settings.
    time      O(1)
    syntax    path [CONFIG configs=(name value) ,...] [ARGS args ...]
module unload: Unloads a module.
    time      O(1)
    syntax    name
monitor: Shows every request as it is carried out.
psync: Begins to replicate, from where it broke off if possible.
    syntax    replicationid offset
replconf: Settles details of replication between servers.
    time      O(1)
    internal
replicaof: Makes this server a replica of another, or a primary.
    time      O(1)
    syntax    args=(host-port=(host port) | no-one=(NO, ONE))
restore-asking: Makes a key from what DUMP showed, in a slot that is being imported.
    time      O(1)
    syntax    key ttl serialized-value [REPLACE]@3.0.0 [ABSTTL]@5.0.0 [IDLETIME seconds]@5.0.0 [FREQ
              frequency]@5.0.0
    3.0.0     REPLACE.
    5.0.0     ABSTTL.
    5.0.0     IDLETIME and FREQ.
    internal
role: Tells the server's part in replication.
    time      O(1)
save: Writes a snapshot to disk while everyone waits.
    time      O(N)
shutdown: Ends the server, saving as told.
    time      O(N)
    syntax    [abort-selector=(save-selector-block=([save-selector=(NOSAVE | SAVE)] [NOW]@7.0.0 [FORCE]@7.0.0
              [SAFE]@9.0.0 [FAILOVER]@9.0.0) | ABORT@7.0.0)]
    7.0.0     NOW, FORCE and ABORT.
    9.0.0     SAFE and FAILOVER.
slaveof: Makes this server a replica of another, or a primary.
    time      O(1)
    syntax    args=(host-port=(host port) | no-one=(NO, ONE))
    replaced  5.0.0 by REPLICAOF
slowlog: Groups the commands about the log of slow commands.
    time      Depends on the subcommand.
slowlog get: Shows entries of the log.
    time      O(N)
    syntax    [count]
    4.0.0     Shows the client's address and name.
slowlog help: Explains the subcommands of SLOWLOG.
    time      O(1)
slowlog len: Counts the entries of the log.
    time      O(1)
slowlog reset: Empties the log.
    time      O(N)
swapdb: Exchanges two databases.
    time      O(N)
    syntax    index1 index2
sync: Begins to replicate, from scratch.
time: Tells the server's time.
    time      O(1)
"""
