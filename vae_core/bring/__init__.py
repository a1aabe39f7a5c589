"""A network from elsewhere becomes a run: explored like any other, and never trained.

door.py        by which doors networks come, and what each finds in the files that it is shown
diffusers.py, pythae.py, as_it_came.py   the doors
reading.py     files that somebody else wrote, which are believed only so far
bringing.py    what is found → a run, its latents encoded or drawn, its reconstructions measured
"""

from vae_core.bring.bringing import Bringing, bring
from vae_core.bring.door import Door, Found, Wishes, doors

doors.discover(__name__, plugins="vae_core.doors")

__all__ = ["Bringing", "Door", "Found", "Wishes", "bring", "doors"]
