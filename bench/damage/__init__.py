"""Planted damage: resources harmed in one place in a known way, always the same ones.

`kinds.mutants` plants every kind wherever it fits; `at_random.mutants` plants what nobody chose.
"""
