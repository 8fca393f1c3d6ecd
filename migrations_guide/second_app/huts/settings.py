"""The settings: no sessions, no CSRF, no templates, one SQLite file beside manage.py."""

import os
from pathlib import Path

SECRET_KEY = os.environ.get("SECRET_KEY", "for this machine alone")
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "huts.urls"
INSTALLED_APPS = ["huts"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(__file__).resolve().parents[1] / "club.sqlite3",
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
