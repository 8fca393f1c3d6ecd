"""`python -m contract_tests`."""

import sys

try:
    from contract_tests.cli import main
except ModuleNotFoundError as missing:
    if missing.name is None or missing.name.partition(".")[0] in ("contract_tests", "router"):
        raise
    print(f"{missing.name} is not installed: pip install '.[contract_tests]'", file=sys.stderr)
    sys.exit(2)

main()
