"""The report of a whole pipeline: the stage graph, the paper's Table 3, and the effect of each
stage.

load         the folder, read once              problems   each problem's figures, from tables
differences  after - before, with intervals     columns    who stands in the table of stages
claims       what moved, said by rule           contests   ablation, Table 6, preference
layout       where the graph's nodes stand      summary    everything for programs
page, drawing, tables, browse                   the page   pictures: PNG files
"""
