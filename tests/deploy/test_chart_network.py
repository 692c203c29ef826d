"""Who may call the chart's pods, by which names and paths, and what they may call."""

import json

import pytest

from app.setting_groups import ServerSettings
from tests.deploy.helm import VERSIONS, Values, environment, only, rendered, servers
from tests.deploy.manifests import complaints


@pytest.mark.parametrize("route", [False, True], ids=["ingress", "route"])
def test_callers_reach_what_they_call_and_nothing_for_operators(route: bool) -> None:
    if route:
        values: Values = {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}}
        (rule,) = only(rendered("cpu", values), "HTTPRoute")["spec"]["rules"]
        paths = [(each["path"]["value"], each["path"]["type"]) for each in rule["matches"]]
    else:
        values = {"ingress": {"enabled": True, "alb": {"enabled": False}}}
        (rule,) = only(rendered("cpu", values), "Ingress")["spec"]["rules"]
        paths = [(each["path"], each["pathType"]) for each in rule["http"]["paths"]]

    def reached(path: str) -> bool:
        return any(
            path == prefix or (kind != "Exact" and path.startswith(f"{prefix}/"))
            for prefix, kind in paths
        )

    for path in ("/v1/audio/transcriptions", "/openai/v1/audio/transcriptions", "/transcribe"):
        assert reached(path)
    assert all(map(reached, ("/stream", "/v1/realtime", "/", "/web/main.js")))
    for path in ("/internal/drain", "/metrics", "/docs", "/openapi.json", "/health/ready"):
        assert not reached(path)


def trusted_hosts(**values: object) -> list[str]:
    """Of an open server."""
    hosts = environment(rendered("cpu", values))["VERBATIM_SERVER__TRUSTED_HOSTS"]
    return list(ServerSettings.model_validate({"trusted_hosts": json.loads(hosts)}).trusted_hosts)


def test_a_connection_outlives_the_load_balancers_idle_timeout() -> None:
    """Which would send requests into one that is just being closed."""
    name = "VERBATIM_SERVER__IDLE_CONNECTION_SECONDS"
    assert name not in environment(rendered("cpu"))
    assert name not in environment(rendered("own")), "no ALB"
    values: Values = {"ingress": {"enabled": True, "alb": {"idleTimeoutSeconds": 900}}}
    assert environment(rendered("cpu", values))[name] == "960"
    chosen: Values = {"settings": {"server": {"idle_connection_seconds": 1000}}}
    assert environment(rendered("cpu", values | chosen))[name] == "1000"


def test_pods_listen_where_the_cluster_has_addresses() -> None:
    assert environment(rendered("cpu"))["VERBATIM_SERVER__HOST"] == "0.0.0.0"
    only_ipv6: Values = {"settings": {"server": {"host": "::"}}}
    assert environment(rendered("cpu", only_ipv6))["VERBATIM_SERVER__HOST"] == "::"


def test_pods_find_names_as_they_are_told_and_are_placed_by_the_scheduler_that_is_named() -> None:
    names: Values = {
        "hostAliases": [{"ip": "10.0.0.5", "hostnames": ["models.internal"]}],
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
    }
    values: Values = {**names, "schedulerName": "volcano", "placeholder": {"replicas": 1}}
    values["modelCache"] = {"type": "existingClaim", "existingClaim": "models", "pull": ["small"]}
    manifests = rendered("jobs-tiers", values)
    pods = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in manifests
        if each["kind"] in ("Deployment", "Job")
    }
    (pulls,) = [name for name in pods if "pull" in name]
    for name, pod in pods.items():
        assert (names.items() <= pod.items()) == ("placeholder" not in name), name
        assert pod.get("schedulerName") == (None if name == pulls else "volcano"), name
    assert complaints({VERSIONS[-1]: manifests}) == []
    assert "hostAliases" not in str(rendered("jobs-tiers"))


def test_the_test_runs_where_the_server_does() -> None:
    """Its image is there already, and needs the same secrets."""
    secrets: Values = {"imagePullSecrets": [{"name": "registry"}]}
    test = only(rendered("gpu-alb-keda", secrets), "Pod")["spec"]
    pod = servers(rendered("gpu-alb-keda", secrets))["spec"]["template"]["spec"]
    for field in ("imagePullSecrets", "nodeSelector", "tolerations"):
        assert test[field] == pod[field]


def test_an_open_server_is_called_by_the_names_of_its_service() -> None:
    hosts = trusted_hosts(fullnameOverride="stt")
    assert hosts == ["stt.speech", "stt.speech.svc", "stt.speech.svc.cluster.local"]


def test_an_open_server_is_called_by_the_names_of_its_ingress_and_route() -> None:
    ingress = {"enabled": True, "hosts": ["a.example.com"], "alb": {"enabled": False}}
    assert trusted_hosts(ingress=ingress)[3:] == ["a.example.com"]
    route = {"enabled": True, "hostnames": ["*.example.com"], "parentRefs": [{"name": "gateway"}]}
    assert trusted_hosts(httpRoute=route)[3:] == ["*.example.com"]


def test_an_open_server_whose_ingress_takes_any_name_does_too() -> None:
    assert "*" in trusted_hosts(ingress={"enabled": True, "alb": {"enabled": False}})
    assert "*" in trusted_hosts(service={"type": "LoadBalancer"})


def test_names_that_are_chosen_take_the_place_of_the_chart_s() -> None:
    chosen = {"server": {"trusted_hosts": ["b.example.com"]}}
    assert trusted_hosts(settings=chosen) == ["b.example.com"]


def test_the_policy_lets_all_call_the_servers_port_and_pods_of_the_cluster_scrape() -> None:
    settings = {"telemetry": {"metrics_port": 9090}}
    calls, scrapes, _ = only(rendered("cpu", {"settings": settings}), "NetworkPolicy")["spec"][
        "ingress"
    ]
    assert calls == {"ports": [{"protocol": "TCP", "port": "http"}]}
    assert scrapes["from"] == [{"namespaceSelector": {}}]
    assert scrapes["ports"] == [{"protocol": "TCP", "port": "metrics"}]
    without = rendered("cpu", {"networkPolicy": {"enabled": False}})
    assert "NetworkPolicy" not in {each["kind"] for each in without}


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        ({"modelCache": {"type": "emptyDir"}}, {443}),
        ({"modelCache": {"type": "emptyDir"}, "settings": {"models": {"offline": True}}}, set()),
        ({"secrets": {"limitStore": {"name": "redis", "key": "url"}}}, {6379}),
        ({"settings": {"access": {"oidc": {"issuer": "https://idp.example.com/x"}}}}, {443}),
        ({"settings": {"access": {"oidc": {"issuer": "http://idp:8080/realms/x"}}}}, {8080}),
        ({"settings": {"telemetry": {"otlp_endpoint": "http://otel:4318/v1/traces"}}}, {4318}),
    ],
    ids=str,
)
def test_pods_reach_what_the_settings_name_and_no_metadata_of_the_cloud(
    values: dict[str, object], ports: set[int]
) -> None:
    """Redis' address is in a Secret, so it counts as if it had its usual port."""
    if "access" in str(values):
        values = {**values, "open": False}
    dns, *more = only(rendered("cpu", values), "NetworkPolicy")["spec"]["egress"]
    assert {each["port"] for each in dns["ports"]} == {53}
    assert {port["port"] for rule in more for port in rule["ports"]} == ports
    for rule in more:
        blocks = [peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer]
        assert ["169.254.0.0/16"] in [block["except"] for block in blocks]
