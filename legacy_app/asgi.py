"""What an ASGI server serves: the same views, each in a thread. It is here to be measured; gunicorn serves people.

Views are synchronous, so a stream is collected before it is sent: Django says so in a warning.
"""

import os

from django.core.asgi import get_asgi_application

from legacy_app import startup

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "legacy_app.settings")

application = get_asgi_application()
startup.halt_if_unsafe()
startup.halt_if_it_cannot_sign()
