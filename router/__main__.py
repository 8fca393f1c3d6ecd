"""`python -m router`: see `cli`."""

import sys

PACKAGES = "starlette uvicorn httptools uvloop pydantic typer rich tomlkit opentelemetry-api"
"""What the commands need, as the README says."""

try:
    from .cli import main

    main()
except ModuleNotFoundError as missing:
    package = (missing.name or "").partition(".")[0]
    if package in ("", __package__):
        raise
    print(f"{package} is not installed: pip install {PACKAGES if package in PACKAGES else package}", file=sys.stderr)
    sys.exit(2)
