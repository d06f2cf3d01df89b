"""The printed mapping: one page for people, and FHIR artefacts for machines."""
