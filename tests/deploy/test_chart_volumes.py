"""Where pods keep models: volumes that they can mount, write to, and share."""

import subprocess
from pathlib import Path

from tests.deploy.helm import Values, of_kinds, only, refusal, rendered, server, servers


def _cache(**values: object) -> Values:
    return {"modelCache": values, "settings": {"model": "small"}}


def test_a_bucket_is_mounted_by_a_volume_and_a_claim_that_belong_together() -> None:
    """Mountpoint for S3 mounts no inline volume (awslabs/mountpoint-s3-csi-driver#88)."""
    manifests = rendered("gpu-alb-keda")
    volume, claim = only(manifests, "PersistentVolume"), only(manifests, "PersistentVolumeClaim")
    name = claim["metadata"]["name"]
    assert volume["spec"]["claimRef"] == {"namespace": "speech", "name": name}
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    assert volume["spec"]["storageClassName"] == claim["spec"]["storageClassName"] == ""
    assert volume["spec"]["accessModes"] == claim["spec"]["accessModes"] == ["ReadOnlyMany"]
    mounted = servers(manifests)["spec"]["template"]["spec"]["volumes"]
    assert {"name": "models", "persistentVolumeClaim": {"claimName": name}} in mounted


def test_a_claim_is_shared_where_a_class_is_named_and_else_one_pod_s() -> None:
    shared = rendered("cpu", {**_cache(type="pvc", pvc={"storageClassName": "efs"}), "replicas": 2})
    assert only(shared, "PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteMany"]
    alone = rendered("cpu", {**_cache(type="pvc"), "strategy": {"type": "Recreate"}})
    claim = only(alone, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "set replicas to 1 and strategy.type to Recreate" in refusal("cpu", _cache(type="pvc"))
    shared_as_told = _cache(type="pvc", pvc={"accessModes": ["ReadWriteMany"]})
    assert not refusal("cpu", shared_as_told)


def test_a_job_pulls_models_that_pods_only_read(tmp_path: Path) -> None:
    manifests = rendered("own")
    job = only(manifests, "Job")
    pod = job["spec"]["template"]["spec"]
    (pull,) = pod["containers"]
    claim = {"name": "models", "persistentVolumeClaim": {"claimName": "models"}}
    assert claim in pod["volumes"]
    assert {"name": "models", "mountPath": "/models"} in pull["volumeMounts"]
    assert "HF_TOKEN" in {each["name"] for each in pull["env"]}
    (mounted,) = [each for each in server(manifests)["volumeMounts"] if each["name"] == "models"]
    assert mounted["readOnly"]
    python = tmp_path / "python"  # Tells what it was asked, and fails for what is no model.
    python.write_text('#!/bin/sh\necho "$@"\ntest "$5" != broken\n')
    python.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(pull["command"], env=environment, capture_output=True, check=True)
    pulled = [f"-m app models pull {model}" for model in ("small", "org/own@v2")]
    assert done.stdout.decode().splitlines() == pulled
    broken = subprocess.run([*pull["command"][:4], "broken", "small"], env=environment)
    assert broken.returncode == 1


def test_a_directory_of_the_node_is_given_to_the_server() -> None:
    manifests = rendered("cpu", _cache(type="hostPath", hostPath="/srv/models"))
    (first,) = servers(manifests)["spec"]["template"]["spec"]["initContainers"]
    assert first["command"] == ["chown", "10001:10001", "/models"]
    assert first["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN"]}
    assert first["image"] == server(manifests)["image"]
    read = rendered("cpu", _cache(type="hostPath", hostPath="/srv/models", readOnly=True))
    assert "initContainers" not in servers(read)["spec"]["template"]["spec"]


def test_what_holds_room_is_as_large_as_a_server_and_gives_way_to_it() -> None:
    manifests = rendered("gpu-alb-keda")
    (priority,) = of_kinds(manifests, "PriorityClass")
    (held,) = [each for each in of_kinds(manifests, "Deployment") if each is not servers(manifests)]
    pod, served = held["spec"]["template"]["spec"], servers(manifests)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert priority["value"] < 0
    assert priority["preemptionPolicy"] == "Never"
    assert pod["priorityClassName"] == priority["metadata"]["name"]
    assert container["resources"] == served["containers"][0]["resources"]
    assert container["image"] == served["containers"][0]["image"], "the node has it then"
    assert (pod["nodeSelector"], pod["tolerations"]) == (
        served["nodeSelector"],
        served["tolerations"],
    )
    assert pod["terminationGracePeriodSeconds"] == 0


def test_a_job_of_which_anything_changes_is_another_job() -> None:
    """Kubernetes refuses changes of a Job, and with them the upgrade."""
    pull: Values = {"type": "existingClaim", "existingClaim": "models", "pull": ["small"]}
    changes: list[Values] = [
        {},
        {"extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}]},
        {"tmp": {"sizeLimit": "1Gi"}},
        {"image": {"tag": "9"}},
        {"modelCache": {**pull, "pull": ["small", "large-v3-turbo"]}},
        {"modelCache": {**pull, "existingClaim": "others"}},
    ]
    jobs = [only(rendered("cpu", {"modelCache": pull} | each), "Job") for each in changes]
    assert len({each["metadata"]["name"] for each in jobs}) == len(changes)
    same = only(rendered("cpu", {"modelCache": pull, "replicas": 7}), "Job")
    assert same == jobs[0]


def test_a_volume_of_which_anything_changes_is_another_volume() -> None:
    """Likewise; its claim and the pods follow."""
    cache: Values = {"type": "persistentVolume"}
    cache["persistentVolume"] = {"nfs": {"server": "files", "path": "/old"}}
    changes: list[Values] = [
        {},
        {"persistentVolume": {"nfs": {"server": "files", "path": "/new"}}},
        {"pvc": {"size": "40Gi"}},
        {"readOnly": True},
    ]
    names = set()
    for each in changes:
        manifests = rendered("cpu", {"modelCache": cache | each})
        volume = only(manifests, "PersistentVolume")
        claim = only(manifests, "PersistentVolumeClaim")
        name = claim["metadata"]["name"]
        assert volume["spec"]["claimRef"]["name"] == name
        assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
        assert f"'claimName': '{name}'" in str(servers(manifests))
        names |= {name, volume["metadata"]["name"]}
    assert len(names) == 2 * len(changes)
