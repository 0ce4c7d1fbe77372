"""A second cluster, or server, that gets what clients do here: `--mirror HOST:PORT`.

core/mirror.pyx   takes what workers have carried out, and sends most of it on
mirroring         what needs a closer look: several keys, scripts, transactions, what blocks
outcomes          in which form requests are repeated, so that the same comes of them
comparison        whether two replies say the same
options           how it is told what to do
"""
