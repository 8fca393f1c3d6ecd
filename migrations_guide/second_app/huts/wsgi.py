"""What gunicorn serves: `gunicorn huts.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "huts.settings")
application = get_wsgi_application()
