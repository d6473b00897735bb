"""The control plane's operations, without HTTP: each is a function of a context and a checked request.

`operations.OPERATIONS` is the one list of them; a resource has one small module, and what all resources share
(lookup and locking, creation, views and lists, deletion) is written once beside them.
"""
