"""Image, compose file and Kubernetes manifests speak of a service that there is, and their numbers fit each other. Whether
they are well-formed is asked of others' tools: `make deploy`."""

from __future__ import annotations

import http.server
import json
import re
import shlex
import subprocess
import threading
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import pytest
import yaml

from kafka_worker.kafka.properties import CONSUMER_DEFAULTS
from kafka_worker.ops.serve.guard import FOR_EVERYBODY
from kafka_worker.ops.serve.site import PATHS
from kafka_worker.recovery import journal
from kafka_worker.shared import http_settings
from kafka_worker.shared.configuration.load import Configuration, load
from kafka_worker.shared.ipc.health import WORKING
from kafka_worker.shared.system import machine
from kafka_worker.shared.system.memory import MEBIBYTE, size
from kafka_worker.supervision.supervisor import CLOSE_SECONDS

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
HTTP_BYTES = 64 * MEBIBYTE  # of the HTTP part: measured 31 MB, and an hour of history
SPARE_SECONDS = 10.0  # from our last deadline until somebody kills all


def instructions(word: str) -> List[str]:
    """What stands behind that word in the Dockerfile, each time."""
    return re.findall(rf"^(?:HEALTHCHECK .*)?{word} +(.*)", DOCKERFILE, re.MULTILINE)


def manifest(path: str) -> Dict[str, Any]:
    found: Dict[str, Any] = yaml.safe_load((KUBERNETES / path).read_text())
    return found


def literals(path: str) -> Dict[str, str]:
    """The settings in a kustomization."""
    lines = manifest(path)["configMapGenerator"][0]["literals"]
    return dict(line.split("=", 1) for line in lines)


def monitor() -> Dict[str, Any]:
    """What Prometheus' operator is told."""
    found: Dict[str, Any] = manifest("components/podmonitor/podmonitor.yaml")["spec"]
    return found


def patches(kind: str) -> Dict[str, Any]:
    """What the example's patches put where, in manifests of that kind."""
    of_kind = [each for each in manifest("example/kustomization.yaml")["patches"] if each["target"]["kind"] == kind]
    return {each["path"]: each["value"] for patch in of_kind for each in yaml.safe_load(patch["patch"])}


IMAGE = dict(part.split("=", 1) for part in shlex.split(instructions("ENV")[0]))
BASE = literals("base/kustomization.yaml")
LABELS = manifest("base/kustomization.yaml")["labels"][0]["pairs"]
DEPLOYMENT = manifest("base/deployment.yaml")["spec"]
POD = DEPLOYMENT["template"]["spec"]
CONTAINER = POD["containers"][0]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
WORKER = COMPOSE["worker"]
IN_MEMORY = {path: given or "0" for path, _, given in (each.partition(":size=") for each in WORKER["tmpfs"])}


class Place(NamedTuple):
    """Where a container of ours runs."""

    settings: Dict[str, str]
    grace: float  # seconds, from SIGTERM to SIGKILL
    memory: int  # bytes that it may have
    in_memory: int  # of these for files
    writable: List[str]


PLACES = {
    "kubernetes": Place(
        {**IMAGE, **BASE},
        POD["terminationGracePeriodSeconds"],
        size(CONTAINER["resources"]["limits"]["memory"]),
        sum(size(each["emptyDir"]["sizeLimit"]) for each in POD["volumes"] if "medium" in each["emptyDir"]),
        [each["mountPath"] for each in CONTAINER["volumeMounts"]],
    ),
    "compose": Place(
        {**IMAGE, **WORKER["environment"]},
        float(WORKER["stop_grace_period"].rstrip("s")),
        size(WORKER["mem_limit"]),
        sum(map(size, IN_MEMORY.values())),
        [*IN_MEMORY, *(each.partition(":")[2] for each in WORKER["volumes"])],
    ),
}
OVERLAY = {**IMAGE, **BASE, **literals("example/kustomization.yaml")}


def configuration(settings: Dict[str, str]) -> Configuration:
    """As the service would read it; a secret that stands in a file is given here."""
    given = {name[: -len("_FILE")] if name.endswith("_FILE") else name: value for name, value in settings.items()}
    return load([], given, env_file="")


@pytest.mark.parametrize("settings", [*(place.settings for place in PLACES.values()), OVERLAY])
def test_each_setting_is_one_of_ours_nothing_is_wrong_with_them_and_none_depends_on_the_cores_of_the_node(
    settings: Dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    found = configuration(settings)
    monkeypatch.setattr(machine, "usable_cores", lambda: 64)
    elsewhere = configuration(settings)

    assert found.warnings == ()
    assert elsewhere == found
    assert found.settings.threads < found.settings.threads_max  # it tunes them


@pytest.mark.parametrize("name", PLACES)
def test_who_is_asked_to_stop_has_time_for_it_and_room_for_all_its_processes(name: str) -> None:
    place, ours = PLACES[name], configuration(PLACES[name].settings).settings

    assert place.grace >= ours.drain_seconds + CLOSE_SECONDS + SPARE_SECONDS
    # A process that is recycled has a successor beside it, for which there is a tenth.
    assert place.memory >= 1.1 * size(ours.memory_limit) + HTTP_BYTES + place.in_memory
    assert {ours.runtime_directory, ours.state_directory, "/tmp"} <= set(place.writable)
    assert size(IN_MEMORY["/tmp"]) > 0  # without a size it may be half of the machine's memory
    assert place.in_memory >= 2 * ours.processes * journal.RECORDS * journal._RECORD


def test_the_compose_file_begins_with_kafka_then_the_topics_that_the_service_needs() -> None:
    kafka, topics, ours = COMPOSE["kafka"], COMPOSE["topics"], configuration(PLACES["compose"].settings).settings
    script = topics["command"][0]
    made = re.findall(r"for topic in (.*); do", script)[0].split()
    asked = [kafka["healthcheck"]["test"][-1], *re.findall(r"--bootstrap-server (\S+)", script)]

    assert topics["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert WORKER["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
    assert "restart" not in topics  # it would never be completed
    assert topics["image"] == kafka["image"]
    assert set(asked) == {ours.bootstrap_servers, kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].partition("://")[2]}
    assert made == [each + suffix for each in ours.topics for suffix in ("", ours.dead_letter_suffix)]
    assert int(re.findall(r"--partitions (\d+)", script)[0]) >= ours.processes
    assert re.findall(r"(?<!\$)\$(?!\$)", script) == []  # one alone is compose's own


def test_nothing_is_written_but_to_volumes_and_nobody_is_root() -> None:
    user, group = map(int, instructions("USER")[0].split(":"))
    pod, container = POD["securityContext"], CONTAINER["securityContext"]

    assert (pod["runAsUser"], pod["runAsGroup"], pod["fsGroup"], pod["runAsNonRoot"]) == (user, group, group, True)
    assert user > 0
    # Whoever else it runs as. A volume in memory that an engine mounts over them is root's, with the mode that is there.
    made = re.findall(r"install -d -m 1777 ([^&]+)", DOCKERFILE)[0].split()
    assert made == [IMAGE["RUNTIME_DIRECTORY"], IMAGE["STATE_DIRECTORY"]]
    assert (container["readOnlyRootFilesystem"], container["allowPrivilegeEscalation"]) == (True, False)
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert (WORKER["read_only"], WORKER["cap_drop"]) == (True, ["ALL"])
    # A Service that is called kafka-client would else be a setting: KAFKA_CLIENT_SERVICE_HOST.
    assert POD["enableServiceLinks"] is False


class Probed(http.server.HTTPServer):
    """What a health check asks."""

    found = 200


class Answer(http.server.BaseHTTPRequestHandler):
    """As it is found at /livez; there is nothing else."""

    server: Probed

    def do_GET(self) -> None:
        self.send_response(self.server.found if self.path == "/livez" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nowhere."""


@pytest.fixture
def answering() -> Iterator[Probed]:
    with Probed(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def is_ill() -> bool:
    """What the image's health check says, here."""
    with pytest.raises(SystemExit) as told:
        exec(json.loads(instructions("CMD")[0])[-1], {})
    return bool(told.value.code)


def test_the_image_is_healthy_when_livez_says_so_wherever_http_is_served(
    answering: Probed, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, options, _ = json.loads(instructions("CMD")[0])
    monkeypatch.setenv("HTTP", f"0.0.0.0:{answering.server_port}")

    assert (program, options, is_ill()) == ("python", "-ISc", False)
    answering.found = 503
    assert is_ill()


@pytest.mark.parametrize(("status", "ill"), [(0, False), (1, False), (2, True), (78, True)])
def test_without_http_the_image_is_healthy_when_status_finds_the_service(
    status: int, ill: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "call", lambda words: {("kafka-worker", "status"): status}[tuple(words)])
    monkeypatch.setenv("HTTP", "")

    assert is_ill() is ill


def test_nothing_is_compiled_at_the_start_of_a_process_as_nobody_may_keep_it() -> None:
    by_what_is_in_them = "-q -f --invalidation-mode checked-hash"  # builders round times
    compiled = re.findall(rf"-m compileall {by_what_is_in_them} (?:\s*-x '\S+' )?(\S+)", DOCKERFILE)

    assert compiled == ["/opt/venv", "/usr/local/lib/python3.*"]
    assert IMAGE["PYTHONDONTWRITEBYTECODE"] == "1"


def test_probes_and_metrics_are_asked_for_where_they_are_and_for_everybody() -> None:
    port = http_settings.parsed(IMAGE["HTTP"])[1]
    ports = {each["name"]: each["containerPort"] for each in CONTAINER["ports"]}
    endpoint = monitor()["podMetricsEndpoints"][0]
    ingress = manifest("components/networkpolicy/networkpolicy.yaml")["spec"]["ingress"][0]["ports"][0]
    gets = [CONTAINER[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")]

    assert ports == {"http": port}
    assert {each["port"] for each in [*gets, endpoint, ingress]} == {"http"}
    assert [each["path"] for each in [*gets, endpoint]] == ["/livez", "/readyz", "/metrics"]
    assert {"/livez", "/readyz", "/metrics"} <= set(FOR_EVERYBODY) & set(re.findall(r"^/\w+", PATHS, re.MULTILINE))
    assert instructions("EXPOSE") == [str(port)]
    assert [each.rpartition(":")[2] for each in WORKER["ports"]] == [str(port)]


def test_a_rollout_takes_places_over_one_by_one() -> None:
    """With one pod more for a while, partitions would move to it and move again."""
    budget = manifest("base/disruption.yaml")["spec"]

    assert DEPLOYMENT["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert DEPLOYMENT.get("progressDeadlineSeconds", 600) >= POD["terminationGracePeriodSeconds"] + SPARE_SECONDS
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    assert "running" in WORKING


def test_whoever_selects_our_pods_names_their_labels_and_the_scrape_job_has_the_name_that_alerts_go_by() -> None:
    """A budget without a selector is nobody's. Those of the Deployment are made by kustomize."""
    policy = manifest("components/networkpolicy/networkpolicy.yaml")["spec"]
    selectors = [
        manifest("base/disruption.yaml")["spec"]["selector"], monitor()["selector"], policy["podSelector"],
        *(each["labelSelector"] for each in POD["topologySpreadConstraints"]),
    ]  # fmt: skip
    jobs = re.findall(r'job="([^"]+)"', (ROOT / "monitoring" / "alerts.yml").read_text())

    assert [each["matchLabels"] for each in selectors] == [LABELS] * len(selectors)
    assert set(jobs) == {LABELS[monitor()["jobLabel"]]}


def test_the_autoscaler_signs_in_as_the_service_does_from_the_same_secret() -> None:
    service, trigger, file = patches("Deployment"), patches("ScaledObject"), manifest("example/keda.yaml")
    secret = service["/spec/template/spec/volumes/-"]["secret"]["secretName"]
    mounted = service["/spec/template/spec/containers/0/volumeMounts/-"]["mountPath"]
    files = {
        "username": OVERLAY["KAFKA_CLIENT_SASL_USERNAME_FILE"],
        "password": OVERLAY["KAFKA_CLIENT_SASL_PASSWORD_FILE"],
        "ca": OVERLAY["KAFKA_CLIENT_SSL_CA_LOCATION"],
    }
    given = {each["parameter"]: (each["name"], f"{mounted}/{each['key']}") for each in file["spec"]["secretTargetRef"]}

    assert given == {name: (secret, path) for name, path in files.items()}
    assert trigger["/spec/triggers/0/authenticationRef"] == {"name": file["metadata"]["name"]}
    assert OVERLAY["KAFKA_CLIENT_SECURITY_PROTOCOL"] == "SASL_SSL"
    assert trigger["/spec/triggers/0/metadata/tls"] == "enable"
    mechanism = OVERLAY["KAFKA_CLIENT_SASL_MECHANISM"].lower().replace("sha-", "sha").replace("-", "_")
    assert trigger["/spec/triggers/0/metadata/sasl"] == mechanism


def test_the_autoscaler_has_the_numbers_and_names_of_what_it_scales() -> None:
    scaled, component = manifest("components/keda/scaledobject.yaml"), manifest("components/keda/kustomization.yaml")
    spec, trigger = scaled["spec"], scaled["spec"]["triggers"][0]["metadata"]
    partitions = int(scaled["metadata"]["annotations"]["kafka-worker/partitions"])
    filled = {path for each in component["replacements"] for target in each["targets"] for path in target["fieldPaths"]}
    behaviour = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]

    assert spec["maxReplicaCount"] == partitions // int(BASE["PROCESSES"])
    assert spec["scaleTargetRef"]["name"] == manifest("base/deployment.yaml")["metadata"]["name"]
    assert trigger["offsetResetPolicy"] == CONSUMER_DEFAULTS["auto.offset.reset"]
    assert trigger["excludePersistentLag"] == "false"
    assert behaviour["policies"][0]["periodSeconds"] > POD["terminationGracePeriodSeconds"]
    assert {f"spec.triggers.0.metadata.{name}" for name, value in trigger.items() if not value} == filled
    assert {each["source"]["fieldPath"] for each in component["replacements"]} <= {f"data.{name}" for name in BASE}


def test_what_the_image_is_made_of_gets_into_it_and_its_command_is_ours_as_pid_1() -> None:
    let_through = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    wanted = [source for line in instructions("COPY") if "--from" not in line for source in line.split()[:-1]]
    copied = [path.name for source in wanted for path in ROOT.glob(source)]
    scripts = re.findall(r'^([\w-]+) = "kafka_worker.__main__:main"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert len(copied) >= len(wanted)
    assert [name for name in copied if not any(Path(name).match(pattern) for pattern in let_through)] == []
    assert json.loads(instructions("ENTRYPOINT")[0]) == scripts
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert re.findall(r"^ARG PYTHON=(.*)", DOCKERFILE, re.MULTILINE) == ["3.13"]
