"""Scripting: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
eval: Runs a script.
    time      Depends on the script.
    syntax    script numkeys [key ...] [arg ...]
eval_ro: Runs a script that may not write.
    time      Depends on the script.
    syntax    script numkeys [key ...] [arg ...]
evalsha: Runs a script known by its SHA1 digest.
    time      Depends on the script.
    syntax    sha1 numkeys [key ...] [arg ...]
evalsha_ro: Runs a script known by its SHA1 digest, which may not write.
    time      Depends on the script.
    syntax    sha1 numkeys [key ...] [arg ...]
fcall: Calls a function.
    time      Depends on the function.
    syntax    function numkeys [key ...] [arg ...]
fcall_ro: Calls a function that may not write.
    time      Depends on the function.
    syntax    function numkeys [key ...] [arg ...]
function: Groups the commands about functions.
    time      Depends on the subcommand.
function delete: Removes a library with its functions.
    time      O(1)
    syntax    library-name
function dump: Shows all libraries in the form that FUNCTION RESTORE takes.
    time      O(N)
function flush: Removes all libraries.
    time      O(N)
    syntax    [flush-type=(ASYNC | SYNC)]
function help: Explains the subcommands of FUNCTION.
    time      O(1)
function kill: Stops the function that is running.
    time      O(1)
function list: Describes libraries.
    time      O(N)
    syntax    [LIBRARYNAME library-name-pattern] [WITHCODE]
function load: Makes a library from source text.
    time      O(1)
    syntax    [REPLACE] function-code
function restore: Makes libraries from what FUNCTION DUMP showed.
    time      O(N)
    syntax    serialized-value [policy=(FLUSH | APPEND | REPLACE)]
function stats: Describes the function that is running.
    time      O(1)
script: Groups the commands about scripts.
    time      Depends on the subcommand.
script debug: Sets how scripts are debugged on this connection.
    time      O(1)
    syntax    mode=(YES | SYNC | NO)
script exists: Tells which scripts are known.
    time      O(N)
    syntax    sha1 ...
script flush: Forgets all scripts.
    time      O(N)
    syntax    [flush-type=(ASYNC | SYNC)]@6.2.0
    6.2.0     ASYNC and SYNC.
script help: Explains the subcommands of SCRIPT.
    time      O(1)
script kill: Stops the script that is running.
    time      O(1)
script load: Makes a script known without running it.
    time      O(N)
    syntax    script
script show: Shows the text of a script.
    time      O(1)
    syntax    sha1
"""
