"""``ispbench sweep``: runs a W&B sweep file on this machine, without an account or a server."""
