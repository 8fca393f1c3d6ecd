"""What gunicorn serves: `gunicorn --config legacy_app/gunicorn.conf.py legacy_app.wsgi:application`."""

import os

from django.core.exceptions import ImproperlyConfigured

from legacy_app import startup, telemetry

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "legacy_app.settings")

try:
    application = telemetry.wsgi_application()
except ImproperlyConfigured as mistake:
    startup.halt(str(mistake))
startup.halt_if_unsafe()
startup.halt_if_it_cannot_sign()
startup.warn_if_not_migrated()
