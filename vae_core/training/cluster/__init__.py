"""Runs that are trained on the machines of a cluster, of which no two share a disk.

luggage.py     which files of a run folder travel, both ways, and what is refused
collection.py  a person's own images as an archive that is named after its content
place.py       a run on the machine that trains it: its folder, its worker, what is new in it
mirror.py      the same run in its store: its place is found or asked for, and what is new there is
               written here
over_ray.py    places as actors of Ray
placed.py      that a run is to be trained on a cluster, and on which
"""
