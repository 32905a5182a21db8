"""What Python users call: ``harness.run``, ``sweep``, ``load``, ``fit``, ``evaluate``, ``list`` and ``info``.

The names are on ``harness`` itself, where they are loaded when they are used. The command line is a client of this
room: options, printing and exit codes are its own, all else is here.
"""
