"""EVAL, EVALSHA, FCALL and their read-only kin as compiled handlers: from the request to the reply without Python, as long
as the script is known and nothing stands in its way. Their rules are those of compiled.pxd.

Whatever is unusual is left to the Python handlers, which come here again once they have judged it (`perform`): a script
that is new, a gate that is closed, a bad number of keys, keys that are not all plainly here. Errors are told in
Python as well, and so is everything about a script that runs long: `Runner.running` is made when somebody asks for it.

A script's time is its own, unlike that of other compiled handlers: it may take any.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from libc.string cimport memcmp

from node.core.compiled cimport argument, number_in, put, took
from node.core.engine cimport COMPILED, DIRECT, TIMED, Client, Engine, Request, Row
from node.core.key_slot cimport slot_of
from node.core.lua cimport Lua
from node.core.request_reader cimport Span
from node.core.script_calls cimport Runnable, ScriptCalls
from node.core.timing cimport monotonic_ns

from node.core.command_rows import GATE_READ_ONLY
from node.errors import ReplyError

cdef unsigned int READ_ONLY = GATE_READ_ONLY
cdef object _ReplyError = ReplyError


cdef class Runner:
    """Runs scripts and functions, one at a time. `owner` is the worker's `Execution`, told of what is rare; `scripts`
    and `functions` (of node/scripting too) know what there is to run. Once this is made, the engine uses the handlers
    below."""

    def __init__(self, Engine engine not None, ScriptCalls calls not None, owner, scripts, functions):
        self.engine = engine
        self.calls = calls
        self.owner = owner
        self.scripts = scripts
        self.by_source, self.by_sha, self.by_name = scripts.by_source, scripts.by_sha, functions.by_name
        engine.scripting = self
        install(engine)

    # --- running -------------------------------------------------------------------------------------

    cdef int run(
        self, Runnable script, Client caller, bint read_only, const char* base, Span* words, size_t keys, size_t count
    ) except -1:
        """Run a script that may be run. The words lie at `base`; the Lua state has what it comes to."""
        cdef Lua lua = <Lua>script.function.home
        cdef bint nested = self.engine.trail.collected is not None
        self.script = script
        self.caller = caller
        self.calls.begin(caller, script, read_only)
        self.started = monotonic_ns()
        lua.interrupt_at = self.started + self.undisturbed
        if not nested:
            self.engine.trail.collected = []
        lua.launch(script.report, script.function, script.globals_, base, words, keys, count)
        self.script = None
        self.caller = None
        self.request = NULL
        self.argv = None
        self.calls.end()
        if self.shown is not None:
            shown, self.shown = self.shown, None
            self.owner.finished(shown)
        if not nested:
            self.engine.trail.end()
        return 0

    def perform(
        self, Runnable script not None, Client caller not None, list argv not None, list keys, list args, bint read_only
    ):
        """Run a script for a Python handler: its reply value. `argv` is the command."""
        cdef Lua lua = <Lua>script.function.home
        lua.spread(keys, args)
        self.argv = argv
        self.run(script, caller, read_only, NULL, lua.words.items, len(keys), lua.words.count)
        return self.outcome(lua, script)

    cdef object outcome(self, Lua lua, Runnable script):
        value = lua.outcome()
        return self.owner.told(script, value) if lua.failed else value

    def current(self):
        """What is being run, as `describe` has it, or None. Made when it is first asked for."""
        if self.shown is None and self.script is not None:
            argv = self.argv if self.request == NULL else self.engine.arguments(self.request, 0)
            self.shown = self.owner.describe(self.script, self.caller, argv, self.started)
        return self.shown

    # --- for requests --------------------------------------------------------------------------------

    cdef bint may_run(self, Client client, Request* request, Runnable script, bint read_only, int64_t keys) except -1:
        """Whether nothing stands in the script's way, as far as can be told without Python."""
        cdef Engine engine = self.engine
        cdef Span* span
        cdef int slot = -1
        cdef int here
        cdef int64_t i
        if script.flags is None or script.is_read_only:
            if engine.gate & ~READ_ONLY:
                return False
        elif engine.gate:
            return False
        if script.flags is not None:
            if (read_only and not script.is_read_only) or "no-cluster" in script.flags:
                return False
        if keys < 0 or keys > <int64_t>request.count - 3:
            return False
        if not engine.looks_at_keys or client.obeyed:
            return True
        if client.db.cold is not None:
            return False
        for i in range(keys):
            span = &engine.spans.items[request.first + 3 + i]
            here = slot_of(request.base + span.start, span.length)
            if engine.states[here] or slot not in (-1, here):
                return False
            slot = here
        return True

    cdef int serve(self, Client client, Request* request, Runnable script, bint read_only) except -1:
        """Run the script that a request asks for, and reply. 0: Python shall look at it."""
        cdef Engine engine = self.engine
        cdef Lua lua = <Lua>script.function.home
        cdef int64_t keys
        cdef int64_t measured = engine.measured
        cdef bint outer = client.executing
        if not number_in(engine, request, 2, &keys) or not self.may_run(client, request, script, read_only, keys):
            return 0
        self.request = request
        client.executing = True
        self.run(
            script, client, read_only, request.base, &engine.spans.items[request.first + 3], keys, request.count - 3
        )
        client.executing = outer
        if not lua.write_outcome(engine.reply, client.resp):
            value = self.outcome(lua, script)
            if isinstance(value, _ReplyError):
                engine.tell_failed(<int>(request.row - engine.rows), value)
            engine.reply.encode(value, client.resp)
        if client.pushes and not outer:
            pushes, client.pushes = client.pushes, []
            engine.reply.encode_items(pushes, client.resp)
        took(engine, client, request, self.started, measured)
        return TIMED


# --- handlers ----------------------------------------------------------------------------------------------------


cdef inline bint is_text(bytes text, const char* other, size_t length) noexcept:
    return <size_t>PyBytes_GET_SIZE(text) == length and memcmp(PyBytes_AS_STRING(text), other, length) == 0


cdef int run_source(Engine engine, Client client, Request* request, bint read_only) except -1:
    cdef Runner runner = <Runner>engine.scripting
    cdef size_t length
    cdef const char* source = argument(engine, request, 1, &length)
    cdef Runnable script = runner.latest
    if script is None or not is_text(script.source, source, length):  # pipelines mostly repeat one script
        script = runner.by_source.get(PyBytes_FromStringAndSize(source, length))
        if script is None:
            return 0
        runner.scripts.used(script)
    return runner.serve(client, request, script, read_only)


cdef int run_digest(Engine engine, Client client, Request* request, bint read_only) except -1:
    cdef Runner runner = <Runner>engine.scripting
    cdef size_t length
    cdef const char* digest = argument(engine, request, 1, &length)
    cdef Runnable script = runner.latest
    if script is None or not is_text(script.digest, digest, length):
        script = runner.by_sha.get(PyBytes_FromStringAndSize(digest, length).lower())
        if script is None:
            return 0
        runner.scripts.used(script)
    return runner.serve(client, request, script, read_only)


cdef int run_function(Engine engine, Client client, Request* request, bint read_only) except -1:
    cdef Runner runner = <Runner>engine.scripting
    cdef size_t length
    cdef const char* name = argument(engine, request, 1, &length)
    cdef Runnable function = runner.by_name.get(PyBytes_FromStringAndSize(name, length))
    return function is not None and runner.serve(client, request, function, read_only)


cdef int eval_(Engine engine, Client client, Request* request) except -1:
    return run_source(engine, client, request, False)


cdef int eval_ro(Engine engine, Client client, Request* request) except -1:
    return run_source(engine, client, request, True)


cdef int evalsha(Engine engine, Client client, Request* request) except -1:
    return run_digest(engine, client, request, False)


cdef int evalsha_ro(Engine engine, Client client, Request* request) except -1:
    return run_digest(engine, client, request, True)


cdef int fcall(Engine engine, Client client, Request* request) except -1:
    return run_function(engine, client, request, False)


cdef int fcall_ro(Engine engine, Client client, Request* request) except -1:
    return run_function(engine, client, request, True)


cdef int install(Engine engine) except -1:
    cdef Row* row
    put(engine, "eval", eval_)
    put(engine, "eval_ro", eval_ro)
    put(engine, "evalsha", evalsha)
    put(engine, "evalsha_ro", evalsha_ro)
    put(engine, "fcall", fcall)
    put(engine, "fcall_ro", fcall_ro)
    for name in ("eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro"):
        row = &engine.rows[<int>engine.row_of[name]]
        if row.way != DIRECT:  # where it takes the session to tell what the keys are
            row.way = COMPILED
    return 0
