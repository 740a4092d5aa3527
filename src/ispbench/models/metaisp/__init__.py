"""MetaISP (Chen et al., IJCAI 2024). See ``README.md`` for what is the paper's and what is reconstructed."""

from ispbench.models.metaisp.network import MetaISP, MetaISPNet

__all__ = ["MetaISP", "MetaISPNet"]
