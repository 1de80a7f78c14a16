"""Writes out the layers of a model file's blocks: a second reading of what docs/model-files.md says, for well-formed files."""

import re

USE_KEYS = {"name", "block", "repeat", "count_from", "input", "first", "each", "if"}


def fill(value, scope, number=None):
    """`value` with `{parameter}` replaced: by the value itself where it is the whole text."""
    if isinstance(value, dict):
        return {key: fill(inner, scope) for key, inner in value.items()}
    if not isinstance(value, str) or scope is None:
        return value
    if (whole := re.fullmatch(r"\{([^{}]*)\}", value)) and whole[1] in scope:
        return scope[whole[1]]
    known = scope if number is None else {**scope, "i": number}
    return re.sub(r"\{([^{}]*)\}", lambda part: str(known[part[1]]), value)


def expand(spec):
    """The layers of `spec` as dictionaries with `name` and `inputs`, in order."""
    blocks = {block["name"]: block for block in spec.get("block", [])}
    layers = []

    def add(entries, prefix, above, scope):
        names = {"input": above}
        for position, entry in enumerate(entries):
            wanted = fill(entry.get("if", True), scope)
            if "block" in entry:
                source = names[fill(entry["input"], scope)] if "input" in entry else above
                block = blocks[fill(entry["block"], scope)]
                shared = {key: fill(value, scope) for key, value in entry.items() if key not in USE_KEYS}
                name = entry.get("name", f"{block['name']}.{position}")
                for i in range(entry.get("repeat", 1)):
                    number = entry.get("count_from", 0) + i if "repeat" in entry else None
                    numbered = name if number is None or "{i}" in name else f"{name}.{number}"
                    numbered = fill(numbered, scope or {}, number)
                    parameters = {**block.get("defaults", {}), **shared}
                    if i == 0:
                        parameters.update(fill(entry.get("first", {}), scope))
                    parameters.update({key: values[i] for key, values in entry.get("each", {}).items()})
                    if wanted:
                        source = add(block["layer"], f"{prefix}{numbered}.", source, parameters)
                        names[numbered] = source
                    names.setdefault(numbered, source)
                if "repeat" in entry and "{i}" not in name:
                    names[fill(name, scope)] = source
                above = source
                continue
            layer = {key: fill(value, scope) for key, value in entry.items() if key not in ("if", "input", "inputs")}
            name = layer.get("name", f"{layer['op']}.{position}")
            reads = entry.get("inputs") or ([entry["input"]] if "input" in entry else None)
            inputs = [names[fill(one, scope)] for one in reads] if reads else [above]
            if wanted:
                above = prefix + name if name else prefix.removesuffix(".")
                layers.append({**layer, "name": above, "inputs": inputs})
                names[name] = above
            else:
                above = inputs[0]
                names.setdefault(name, above)
        return above

    add(spec["layer"], "", "input", None)
    return layers
