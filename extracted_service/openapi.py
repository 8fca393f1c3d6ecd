"""python -m extracted_service.openapi: what this service says of its endpoints, as OpenAPI in JSON.

The contract tests hold it against the promise to the clients, which is nobody's code.
"""

import json
import sys

from .app import with_endpoints


def as_text() -> str:
    return json.dumps(with_endpoints().openapi(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_text())
