"""Check, measure, show, pack, align or fetch a dataset.

  ispbench data check data=zrr data.root=/data/ZRR

Everything in conf/data/NAME.yaml can be overridden.
"""
