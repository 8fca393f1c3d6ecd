#!/usr/bin/env python
"""Django's command line for the monolith; what a person can put right is said in one sentence."""

import os
import sys
from pathlib import Path

# The script's own folder comes first on sys.path; the package is found from the one above it.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "legacy_app.settings")


def main() -> None:
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    from legacy_app.startup import database_advice

    try:
        settings.INSTALLED_APPS  # noqa: B018  (reads the settings, so that a mistake there is told first)
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as mistake:
        sys.exit(str(mistake))
    except (OperationalError, ProgrammingError) as failure:
        sys.exit(database_advice(failure))


if __name__ == "__main__":
    main()
