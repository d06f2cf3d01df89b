"""WSGI entry point: `gunicorn wsgi:application`."""

from fhirbridge.app import create_app
from fhirbridge.web import logs

logs.install()
application = create_app()
