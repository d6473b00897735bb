"""What data must be like to come in: one module of rules a dataset type, judged by Great Expectations.

An import is measured once (pipelines.datasets.profile); the rules here are bounds on that one row of numbers.
"""
