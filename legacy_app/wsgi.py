"""What gunicorn serves: `gunicorn --config legacy_app/gunicorn.conf.py legacy_app.wsgi:application`."""

import os

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

from legacy_app import startup

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "legacy_app.settings")

try:
    application = get_wsgi_application()
except ImproperlyConfigured as mistake:
    startup.halt(str(mistake))
startup.halt_if_unsafe()
startup.warn_if_not_migrated()
