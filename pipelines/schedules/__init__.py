"""What is due when: which solutions are to be trained anew, decided for the moment that a run is for.

`due` decides, from what `known` reads in the registry; `retraining` does what it says. The clock is the caller's.
"""
