"""Sorted sets: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
bzmpop: Takes members off one end of the first sorted set that has any, waiting until one does.
    time      O(K) + O(M*log(N))
    syntax    timeout numkeys key ... where=(MIN | MAX) [COUNT count]
bzpopmax: Takes the highest member of the first sorted set that has any, waiting until one does.
    time      O(log(N))
    syntax    key ... timeout
    6.0.0     Fractions of a second.
bzpopmin: Takes the lowest member of the first sorted set that has any, waiting until one does.
    time      O(log(N))
    syntax    key ... timeout
    6.0.0     Fractions of a second.
zadd: Adds members, or changes their scores.
    time      O(log(N))
    syntax    key [condition=(NX | XX)]@3.0.2 [comparison=(GT | LT)]@6.2.0 [change=CH]@3.0.2
              [increment=INCR]@3.0.2 data=(score member) ...
    2.4.0     Several members.
    3.0.2     XX, NX, CH and INCR.
    6.2.0     GT and LT.
zcard: Counts the members.
    time      O(1)
    syntax    key
zcount: Counts the members between two scores.
    time      O(log(N))
    syntax    key min:double max:double
zdiff: Returns the members that only the first sorted set has.
    time      O(L + (N-K)log(N))
    syntax    numkeys key ... [WITHSCORES]
zdiffstore: Stores the members that only the first sorted set has.
    time      O(L + (N-K)log(N))
    syntax    destination numkeys key#1 ...
zincrby: Adds a number to a member's score.
    time      O(log(N))
    syntax    key increment member
zinter: Returns the members that all sorted sets have.
    time      O(N*K)+O(M*log(M))
    syntax    numkeys key ... [WEIGHTS weight ...] [AGGREGATE aggregate=(SUM | MIN | MAX)] [WITHSCORES]
zintercard: Counts the members that all sorted sets have.
    time      O(N*K)
    syntax    numkeys key ... [LIMIT limit]
zinterstore: Stores the members that all sorted sets have.
    time      O(N*K)+O(M*log(M))
    syntax    destination numkeys key#1 ... [WEIGHTS weight ...] [AGGREGATE aggregate=(SUM | MIN | MAX)]
zlexcount: Counts the members between two strings.
    time      O(log(N))
    syntax    key min max
zmpop: Takes members off one end of the first sorted set that has any.
    time      O(K) + O(M*log(N))
    syntax    numkeys key ... where=(MIN | MAX) [COUNT count]
zmscore: Returns the scores of several members.
    time      O(N)
    syntax    key member ...
zpopmax: Takes the highest members out.
    time      O(log(N)*M)
    syntax    key [count]
zpopmin: Takes the lowest members out.
    time      O(log(N)*M)
    syntax    key [count]
zrandmember: Returns random members.
    time      O(N)
    syntax    key [options=(count [WITHSCORES])]
zrange: Returns the members within a range of ranks, scores or strings.
    time      O(log(N)+M)
    syntax    key start:string stop:string [sortby=(BYSCORE | BYLEX)]@6.2.0 [REV]@6.2.0 [LIMIT limit=(offset
              count)]@6.2.0 [WITHSCORES]
    6.2.0     REV, BYSCORE, BYLEX and LIMIT.
zrangebylex: Returns the members between two strings.
    time      O(log(N)+M)
    syntax    key min max [LIMIT limit=(offset count)]
    replaced  6.2.0 by ZRANGE with BYLEX
zrangebyscore: Returns the members between two scores.
    time      O(log(N)+M)
    syntax    key min:double max:double [WITHSCORES]@2.0.0 [LIMIT limit=(offset count)]
    2.0.0     WITHSCORES.
    replaced  6.2.0 by ZRANGE with BYSCORE
zrangestore: Stores the members within a range of ranks, scores or strings.
    time      O(log(N)+M)
    syntax    dst src#1 min max [sortby=(BYSCORE | BYLEX)] [REV] [LIMIT limit=(offset count)]
zrank: Tells a member's rank, counted from the lowest.
    time      O(log(N))
    syntax    key member [WITHSCORE]
    7.2.0     WITHSCORE.
zrem: Removes members.
    time      O(M*log(N))
    syntax    key member ...
    2.4.0     Several members.
zremrangebylex: Removes the members between two strings.
    time      O(log(N)+M)
    syntax    key min max
zremrangebyrank: Removes the members between two ranks.
    time      O(log(N)+M)
    syntax    key start stop
zremrangebyscore: Removes the members between two scores.
    time      O(log(N)+M)
    syntax    key min:double max:double
zrevrange: Returns the members between two ranks, highest first.
    time      O(log(N)+M)
    syntax    key start stop [WITHSCORES]
    replaced  6.2.0 by ZRANGE with REV
zrevrangebylex: Returns the members between two strings, highest first.
    time      O(log(N)+M)
    syntax    key max min [LIMIT limit=(offset count)]
    replaced  6.2.0 by ZRANGE with REV and BYLEX
zrevrangebyscore: Returns the members between two scores, highest first.
    time      O(log(N)+M)
    syntax    key max:double min:double [WITHSCORES] [LIMIT limit=(offset count)]
    2.1.6     Open ranges.
    replaced  6.2.0 by ZRANGE with REV and BYSCORE
zrevrank: Tells a member's rank, counted from the highest.
    time      O(log(N))
    syntax    key member [WITHSCORE]
    7.2.0     WITHSCORE.
zscan: Walks over the members.
    time      O(1)
    syntax    key cursor [MATCH pattern] [COUNT count] [NOSCORES]
    8.0.0     NOSCORES.
zscore: Returns a member's score.
    time      O(1)
    syntax    key member
zunion: Returns the members of all sorted sets together.
    time      O(N)+O(M*log(M))
    syntax    numkeys key ... [WEIGHTS weight ...] [AGGREGATE aggregate=(SUM | MIN | MAX)] [WITHSCORES]
zunionstore: Stores the members of all sorted sets together.
    time      O(N)+O(M log(M))
    syntax    destination numkeys key#1 ... [WEIGHTS weight ...] [AGGREGATE aggregate=(SUM | MIN | MAX)]
"""
