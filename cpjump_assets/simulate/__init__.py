"""The simulated gallery: a folder with planted truth, and the loopback S3 server that serves it with faults on demand.

Belongs here: what stands in for the real gallery in the demo, the tests and the benchmarks. Does not belong here: how
the platform reads a gallery, real or simulated (``gallery``).
"""
