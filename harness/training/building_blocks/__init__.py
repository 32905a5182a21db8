"""What hashers share: networks, cosine structure losses, linear codes, canonical directions, rotations.

Any plugin may import these modules (``from harness.training.building_blocks.networks import hash_network``). The hash
of a cell follows them as if they belonged to the plugin: where one of them is edited, its users are run again.
"""
