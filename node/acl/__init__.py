"""Access control lists: which commands, keys and channels a user may touch.

A user has passwords, flags and one or more *selectors*: sets of permissions, of which any one may allow a
request. Rules (`+get`, `~user:*`, ...) change them, one word after another; the same words describe a user in
ACL LIST, in files and in redis.conf. The language is that of
https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/.

Nothing here knows of sockets or sessions: `node/session/access` asks these classes and acts on the answers.

    commands   the command table as bit masks: what `+cmd` and `+@category` set and clear
    demands    what a request wants to do with its keys
    selector   one set of permissions: applying rules, describing itself, judging a request
    user       flags, passwords, selectors
    users      all users by name
    file       reading and writing them as lines
    denial     a refusal, and its words
    log        the last refusals, for ACL LOG
"""

from node.acl.denial import Denial
from node.acl.log import AclLog
from node.acl.rules import RuleError, UnknownName
from node.acl.user import User
from node.acl.users import Users

__all__ = ["AclLog", "Denial", "RuleError", "UnknownName", "User", "Users"]
