"""Lua scripts: what EVAL and its family run.

`scripts` keeps sources and their flags, `sandbox` owns the Lua state (made at the first script), `calls` is
redis.call with its checks, `conversion` maps replies to Lua and back, `api` is the table `redis`, and each
library (`bit`, ...) is a file. Lua itself is lupa's build of Lua 5.1.
"""
