"""The verbs, one file each: a docstring, a dataclass ``Settings``, and ``run(settings)``; see docs/add_a_verb.md."""
