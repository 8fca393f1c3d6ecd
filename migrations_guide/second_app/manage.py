"""Django's command line for the club: migrate, loaddata, and whatever else it knows."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "huts.settings"  # whatever a neighbour has set in this terminal
    execute_from_command_line(sys.argv)
