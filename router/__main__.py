"""`python -m router`: see `cli`."""

import sys

PACKAGES = "starlette uvicorn httptools uvloop pydantic typer rich tomlkit opentelemetry-api"
"""What the commands need, as the README says."""

try:
    from .cli import main

    main()
except ModuleNotFoundError as missing:
    if missing.name is None or missing.name.partition(".")[0] == (__package__ or "").partition(".")[0]:
        raise
    print(f"{missing.name} is not installed: pip install {PACKAGES}", file=sys.stderr)
    sys.exit(2)
