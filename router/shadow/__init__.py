"""Copies of requests for the other upstream: recorded here, sent and compared in a process of their own.

Nothing that a copy does may be noticed by a caller. So the process that serves callers only keeps what passes
through it anyway, up to a limit, and hands it over a socket without ever waiting; connections, deadlines, parsing,
comparing and storing happen in another process, which the kernel lets run after those that serve callers.
"""

from .copier import Copier, Shadowing, Start
from .counts import Counts, Dropped, RouteCounts
from .process import Process
from .recording import Recording

__all__ = ["Copier", "Counts", "Dropped", "Process", "Recording", "RouteCounts", "Shadowing", "Start"]
