"""A runnable fake exchange with scripted faults: what the demo and the tests record from.

It stands in for the exchange only, over real sockets: everything on this side of the wire is the real
program. `python -m rekt.simulator --help` runs it alone; `simulated(...)` runs it in a thread:

    with simulated(scene="busy", seed=1) as sim:
        ...  # connect to sim.ws_url, read sim.rest_url
        sim.fault("stall", connection=1)
        sim.connections, sim.sent  # what really happened
"""

from rekt.simulator.faults import KINDS, Fault, Step, parse_step, random_script
from rekt.simulator.options import Options
from rekt.simulator.server import Simulator
from rekt.simulator.threaded import SimulatorThread, simulated
from rekt.simulator.truth import Counts, Life, Sent

__all__ = [
    "KINDS",
    "Counts",
    "Fault",
    "Life",
    "Options",
    "Sent",
    "Simulator",
    "SimulatorThread",
    "Step",
    "parse_step",
    "random_script",
    "simulated",
]
