"""The model interface, shared layers, and MetaISP. The baselines live in ``ispbench.baselines``."""
