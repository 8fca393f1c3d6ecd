"""What gunicorn serves: `gunicorn huts.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "huts.settings"  # whatever a neighbour has set in this terminal
application = get_wsgi_application()
