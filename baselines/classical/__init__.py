"""A classical pipeline without learning."""
