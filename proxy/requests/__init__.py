"""Requests that are not passed on raw: which way each takes, and how many replies become one.

routing         the way, by the command table: where the keys are, and the tips on sending it
commands        carries it out; own_ways has those of which the table says too little
jobs, splitter, merger, reports, worker_info, scanning
                one request made of several, and their replies joined
questions, aside, codec
                asking workers from Python
cross_slot and its parts, slot_calls
                commands whose keys are of several slots
"""
