"""The scenarios of a rig that depend on Codex's catalog, with the catalog that `tower-responses codex`
writes in place of the rig's own.

    TOWER_RESPONSES=path/to/tower-responses run.py --gateway 'CMD' --scenarios tests/codex/catalog_scenarios.py

What an entry of the rig says of its model becomes settings of a gateway, which lists the model.
"""
import json, os, pathlib, subprocess, tempfile

import kit

PROGRAM = os.environ["TOWER_RESPONSES"]

# Members of an entry, and the settings that make them.
SETTINGS = {
    "apply_patch_tool_type": lambda value: ("apply_patch", value == "freeform"),
    "auto_compact_token_limit": lambda value: ("auto_compact_token_limit", value),
    "auto_review_model_override": lambda value: ("auto_review_model_override", value),
    "context_window": lambda value: ("context_window", value),
    "multi_agent_version": lambda value: ("multi_agent_version", value),
    "supports_search_tool": lambda value: ("tool_search", value),
    "use_responses_lite": lambda value: ("lite", value),
    "web_search_tool_type": lambda value: ("web_search", value),
}


def settings(entry):
    bare = kit.entry(entry["slug"])
    said = dict(SETTINGS[name](value) for name, value in entry.items() if name not in bare)
    return {"apply_patch": False, **said}


def toml(model, said):
    return "".join([f"[models.{json.dumps(model)}]\n", *(f"{name} = {json.dumps(value)}\n" for name, value in said.items())])


def written(scenario):
    """The catalog that is written for these models, with these aliases."""
    aliases = scenario.get("alias", {})
    models = {aliases.get(entry["slug"], entry["slug"]): settings(entry) for entry in reversed(scenario["catalog"])}
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "config.toml")
        config.write_text("".join(toml(model, said) for model, said in models.items()))
        named = [f"--alias={name}={target}" for name, target in aliases.items()]
        # Its upstream is the built-in one, which knows none of these models: their settings list them.
        gateway = subprocess.Popen([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--store", "none", "--config", config, *named],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            url = gateway.stdout.readline().split()[-1]
            asked = [PROGRAM, "codex", "--gateway", url, "--model", scenario.get("model", kit.SERVED), "--print=catalog"]
            models = json.loads(subprocess.run(asked, check=True, stdout=subprocess.PIPE).stdout)["models"]
        finally:
            gateway.terminate()
            gateway.wait()
    slugs = {model["slug"] for model in models}
    missing = {entry["slug"] for entry in scenario["catalog"]} - slugs
    assert not missing, f"not in the catalog that was written: {missing}"
    return models


import scenarios  # the rig's own

of_the_rig = dict(kit.S)
kit.S.clear()
for name, scenario in of_the_rig.items():
    if "catalog" in scenario:
        kit.S[f"written_{name}"] = {**scenario, "catalog": written(scenario)}
