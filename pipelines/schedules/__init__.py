"""What is to be done when: each question is asked for the moment that a run is for, which the caller names.

`due` decides which solutions are to be trained anew from what `known` reads in the registry; `retraining` does it.
"""
