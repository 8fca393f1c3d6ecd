"""What gunicorn serves: `gunicorn legacy_app.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

from legacy_app.startup import halt_if_unsafe, warn_if_not_migrated

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "legacy_app.settings")

application = get_wsgi_application()
halt_if_unsafe()
warn_if_not_migrated()
