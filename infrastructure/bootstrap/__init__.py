"""The composition root: the one place that knows which adapter stands behind which port.

Only entry points import it: the command line, the service's start and worker processes. Each
module wires one kind of process, so that none loads what another needs.
"""
