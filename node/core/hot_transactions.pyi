"""What Python sees of the execution of transactions (hot_transactions.pyx)."""

from node.core.engine import Client, Engine
from node.replies import Encoded

def execute_queue(client: Client) -> Encoded: ...
def install(engine: Engine) -> None: ...
