"""What comes out of kustomize belongs together, also in an overlay that gives all of it other names and labels."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
KUBECTL = os.environ.get("KUBECTL", "kubectl")
# As docs/DEPLOYMENT.md has it for several services in a namespace.
OF_OTHER_NAMES = """
namePrefix: mails-
labels:
  - pairs: {{app.kubernetes.io/instance: mails}}
    includeSelectors: true
resources: [{example}]
"""

Kinds = Dict[str, Dict[str, Any]]


@pytest.fixture(params=["base", "example", "of other names"])
def kinds(request: pytest.FixtureRequest, tmp_path: Path) -> Kinds:
    """The manifests by their kind, of which each has one."""
    folder = KUBERNETES / request.param
    if not folder.exists():
        folder, example = tmp_path, os.path.relpath(KUBERNETES / "example", tmp_path)
        (folder / "kustomization.yaml").write_text(OF_OTHER_NAMES.format(example=example))
    made = subprocess.run([KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert (made.returncode, made.stderr) == (0, "")
    found = list(yaml.safe_load_all(made.stdout))
    assert len({each["kind"] for each in found}) == len(found)
    return {each["kind"]: each for each in found}


def test_all_that_selects_pods_selects_those_of_the_deployment(kinds: Kinds) -> None:
    deployment = kinds["Deployment"]["spec"]
    pods, specification = deployment["template"]["metadata"]["labels"], deployment["template"]["spec"]
    selectors: List[Dict[str, Any]] = [
        deployment["selector"],
        *(each["labelSelector"] for each in specification["topologySpreadConstraints"]),
        kinds["PodDisruptionBudget"]["spec"]["selector"],
        *(
            kinds[kind]["spec"][field]
            for kind, field in (("PodMonitor", "selector"), ("NetworkPolicy", "podSelector"))
            if kind in kinds
        ),
    ]

    assert [each["matchLabels"] for each in selectors] == [pods] * len(selectors)


def test_who_names_another_manifest_names_the_one_that_there_is(kinds: Kinds) -> None:
    settings, deployment = kinds["ConfigMap"], kinds["Deployment"]
    container = deployment["spec"]["template"]["spec"]["containers"][0]

    assert container["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    if "ScaledObject" in kinds:
        scaled, told = kinds["ScaledObject"]["spec"], settings["data"]
        trigger = scaled["triggers"][0]
        asked = {name: trigger["metadata"][name] for name in ("bootstrapServers", "consumerGroup", "topic")}

        assert "replicas" not in deployment["spec"]
        assert scaled["scaleTargetRef"] == {"name": deployment["metadata"]["name"]}
        assert trigger["authenticationRef"] == {"name": kinds["TriggerAuthentication"]["metadata"]["name"]}
        # Those of the overlay: kustomize before 5.1 has given components those of the base.
        assert list(asked.values()) == [told["KAFKA_BOOTSTRAP_SERVERS"], told["KAFKA_GROUP_ID"], told["KAFKA_TOPIC"]]
