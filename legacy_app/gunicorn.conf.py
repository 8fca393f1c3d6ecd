"""gunicorn's settings for the monolith: a worker lives longer than the slowest answer of the provider."""  # noqa: N999  (the name that gunicorn looks for)

from legacy_app import telemetry
from legacy_app.settings import seconds

# With gunicorn's own 30 seconds a slow provider would end in a killed worker instead of a 504.
timeout = int(seconds("LLM_TIMEOUT_SECONDS", "60")) + 30

# Nobody talks to it, and it would lie outside this folder, one for all listeners of the machine.
control_socket_disable = True


def post_fork(server, worker):
    telemetry.set_up("legacy")
