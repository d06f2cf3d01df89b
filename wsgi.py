"""WSGI entry point: `gunicorn wsgi:application`."""

from fhirbridge.app import create_app

application = create_app()
