"""Publish and subscribe: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
psubscribe: Listens to channels that match patterns.
    time      O(N)
    syntax    pattern ...
publish: Sends a message to a channel.
    time      O(N+M)
    syntax    channel message
pubsub: Groups the commands about channels.
    time      Depends on the subcommand.
pubsub channels: Names the channels that have listeners.
    time      O(N)
    syntax    [pattern]
pubsub help: Explains the subcommands of PUBSUB.
    time      O(1)
pubsub numpat: Counts the patterns listened to.
    time      O(1)
pubsub numsub: Counts the listeners of channels.
    time      O(N)
    syntax    [channel ...]
pubsub shardchannels: Names the sharded channels that have listeners.
    time      O(N)
    syntax    [pattern]
pubsub shardnumsub: Counts the listeners of sharded channels.
    time      O(N)
    syntax    [shardchannel ...]
punsubscribe: Stops listening to patterns.
    time      O(N)
    syntax    [pattern ...]
spublish: Sends a message to a sharded channel.
    time      O(N)
    syntax    shardchannel message
ssubscribe: Listens to sharded channels.
    time      O(N)
    syntax    shardchannel ...
subscribe: Listens to channels.
    time      O(N)
    syntax    channel ...
sunsubscribe: Stops listening to sharded channels.
    time      O(N)
    syntax    [shardchannel ...]
unsubscribe: Stops listening to channels.
    time      O(N)
    syntax    [channel ...]
"""
