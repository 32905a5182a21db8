"""Running cells: one from start to finish, many through an engine, and what becomes of them.

The contract with engines is re-exported here.
"""

from harness.execution.engine import FINISH_RUNNING, GO_ON, STOP_NOW, Ended, Executor, How, Session, Task

__all__ = ["FINISH_RUNNING", "GO_ON", "STOP_NOW", "Ended", "Executor", "How", "Session", "Task"]
