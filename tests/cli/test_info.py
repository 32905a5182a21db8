"""``harness info``: everything that is declared about a name."""

from __future__ import annotations

import pytest

from harness.plugin.loading import KINDS, load_registry


def test_method_shows_its_recipe_and_every_parameter_at_its_own_default(harness):
    (facts,) = harness("info", "chnr-cubed", "--json").json
    assert (facts["kind"], facts["hasher"], facts["detector"], facts["objective"]) == (
        "method", "contrastive", "adversarial", "nt-xent",
    )  # fmt: skip
    assert [phase["name"] for phase in facts["phases"]] == ["warm-up", "noisy"]
    assert facts["presets"].keys() == {"described", "released"}
    assert facts["needs"] == ["trusted"]
    parameters = {parameter["name"]: parameter for parameter in facts["parameters"]}
    assert parameters["detector.weights"]["default"] == "cubed"
    assert parameters["detector.weights"]["type"] == "normal | cubed | discrete | ones"
    assert parameters["detector.epochs"]["default"] == 75
    assert parameters["hasher.beta"]["type"] == "float >= 0"
    assert parameters["detector.mismatches"]["needs"]["other-class"] == ["class-labels"]
    assert "arXiv" in facts["paper"]


def test_text_shows_parameters_with_type_default_and_meaning(harness):
    out = harness("info", "adversarial").out
    assert out.startswith("detector adversarial\n")
    assert "weights = normal  (normal | cubed | discrete | ones)" in out
    assert "penalty = 10.0  (float >= 0)" in out
    assert "Factor of the gradient penalty." in out
    assert "needs: trusted" in out
    assert "other-class needs class-labels." in out


def test_name_of_several_kinds_is_explained_for_each(harness):
    kinds = [facts["kind"] for facts in harness("info", "cca-itq", "--json").json]
    assert sorted(kinds) == ["hasher", "method"]
    assert "method cca-itq" in harness("info", "cca-itq").out
    assert "hasher cca-itq" in harness("info", "cca-itq").out


@pytest.mark.parametrize(
    ("name", "kind"), [("map@20", "metric"), ("torchvision/resnet18", "backbone"), ("ucm", "dataset")]
)
def test_name_as_it_is_written_elsewhere_is_understood(harness, name, kind):
    assert kind in [facts["kind"] for facts in harness("info", name, "--json").json]


def test_metric_shows_its_definition_ids_and_empty_queries(harness):
    (facts,) = harness("info", "map_relevant", "--json").json
    assert "map_relevant@20" in facts["ids"]
    assert facts["empty_query"] == "counts 0"
    assert "first min(K, R) relevant items" in facts["definition"]


def test_metric_with_a_cutoff_that_is_not_computed_is_unknown(harness):
    # once: `harness info map@7` explains map, although map@7 does not exist.
    result = harness("info", "map@7")
    assert result.code == 2


def test_every_registered_name_can_be_explained(harness):
    registry = load_registry(environment={})
    names = sorted({name for kind in KINDS for name in registry.names(kind)})
    assert len(names) > 30
    for name in names:
        result = harness("info", name)
        assert result.code == 0, result.err
        assert f" {name}\n" in result.out


def test_components_of_a_plugin_file_are_explained_with_parameters_of_the_signature(harness, moody):
    found = {facts["kind"]: facts for facts in harness("info", "moody", "--plugin", moody, "--json").json}
    assert found["hasher"]["file"] == str(moody)
    defaults = {parameter["name"]: parameter["default"] for parameter in found["hasher"]["parameters"]}
    assert defaults == {"mode": "well", "while_there": "", "factor": 1.0}
    assert {parameter["name"] for parameter in found["method"]["parameters"]} == {f"hasher.{name}" for name in defaults}


@pytest.mark.parametrize("recipe", ['Recipe("no-such-hasher")', 'Recipe("cca-itq", parameters={"hasher.rigde": 1})'])
def test_method_with_a_wrong_recipe_is_explained_by_an_error(harness, tmp_path, recipe):
    file = tmp_path / "wrong.py"
    file.write_text(
        "from harness import Recipe, hookimpl\n@hookimpl\ndef register_methods(register):\n"
        f"    register('wrong', {recipe}, summary='s')\n"
    )
    result = harness("info", "wrong", "--plugin", file)
    assert result.code == 2
    assert result.err.startswith("Error: unknown ")
