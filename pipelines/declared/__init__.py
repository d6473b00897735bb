"""Declared set-up: a file says what a dataset group shall be; this room makes it so, and writes such files.

One shape of file, that of AWS's solution "Maintaining Personalized Experiences with Machine Learning", with a few
additions (shape.py), so that a file written for it is used as it is and only one shape has to be learned.

reading.py (text to values that know their line), checking.py (values to what is wanted, or everything that is wrong),
planning.py (wanted and there to steps), applying.py (steps to calls), exporting.py (there to a file), and
schedules.py with running.py: the schedules as DAGs of their own (dags/declared_schedules.py).
"""
