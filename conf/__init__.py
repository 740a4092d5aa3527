"""The configuration of ispbench; a package, so that Hydra finds it in a wheel too."""
