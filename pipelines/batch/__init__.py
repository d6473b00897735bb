"""Batch inference: what the runtime would answer, for every line of a company's files.

    job.py        a job in the registry, from CREATE PENDING to ACTIVE or CREATE FAILED: the task of DAG `batch_inference`
    inputs.py     the files that it reads, at hand and unchanging while it runs
    lines.py      one line: what it asks, and what is written for it
    streamed.py   what was streamed of the users of some lines
    answering.py  some lines' answers; run by processes of their own, one a core (processes.py)
    files.py      all lines of all files, in order, and how far that has come (mark.py)

Scores are those of the runtime, to the bit: a line is answered by the code that answers a request, one after the other.
Matrix products over many users at once would be some times faster and round differently, so that lists would change
places; and at 10,000 items one core is quick enough (tests/bench/batch_bench.py).
"""
