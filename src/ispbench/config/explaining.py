"""One sentence for what is wrong with an override or a configuration."""

from ispbench.config.groups import choices
from ispbench.errors import suggest


def explain(error: Exception) -> str:
    """One sentence on what is wrong with an override or a configuration, naming the valid keys or choices."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf import DictConfig
    from omegaconf.errors import MissingMandatoryValue

    from ispbench.config.schema import MOVED

    cause = error.__cause__ or error
    if isinstance(error, OverrideParseException):
        return f"The override {error.override!r} cannot be read; it has the form key=value, special characters quoted."
    if isinstance(cause, MissingMandatoryValue):
        return f"{cause.full_key} has no default; give it a value: {cause.full_key}=..."
    parent = getattr(cause, "parent_node", None)
    key = str(getattr(cause, "key", "") or "")
    if isinstance(parent, DictConfig) and key and key not in parent:
        place = str(parent._get_full_key(None) or "the configuration")
        if moved := MOVED.get(f"{place}.{key}"):
            return f"Unknown key {key!r} in {place}: {moved}."
        valid = sorted(str(name) for name in parent if name != "hydra")
        return f"Unknown key {key!r} in {place}.{suggest(key, valid)} Valid keys: {', '.join(valid)}."
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        if group == "hydra/launcher":
            extra = "ray" if name == "ray" else "launch"
            return f'launcher={name} needs a package that is missing: pip install "ispbench[{extra}]".'
        valid = choices(group)
        return f"Unknown choice {group}={name}.{suggest(name, valid)} Valid choices: {', '.join(valid)}."
    return " ".join(str(error).split())
